-- name: ask
-- Writes a link for the enabled user of an e-mail, and one that opens nothing where there is nobody or nothing to do.
-- $1 hash, $2 purpose, $3 e-mail, $4 tenant of strangers, $5 seconds that it works.
with person as (
  select user_id, tenant_id from platform.users
  where email = $3 and disabled_at is null and ($2 <> 'verify' or email_verified_at is null)),
place as (
  select tenant_id, user_id from person
  union all
  select tenant_id, null::uuid from platform.tenant where slug = $4 and not exists (select from person)),
made as (
  insert into platform.account_link (token_hash, tenant_id, user_id, purpose, expires_at)
  select $1, tenant_id, user_id, $2, now() + make_interval(secs => $5) from place)
select tenant_id, user_id from place;

-- name: peek
-- Whose a link is that works still.
select l.user_id, l.tenant_id, u.email
from platform.account_link l join platform.users u using (user_id)
where l.token_hash = $1 and l.purpose = $2 and l.used_at is null and l.expires_at > now() and u.disabled_at is null;

-- name: use
-- Uses a link up: of several at once, one gets the row.
update platform.account_link l set used_at = now()
from platform.users u
where l.token_hash = $1 and l.purpose = $2 and l.used_at is null and l.expires_at > now()
  and u.user_id = l.user_id and u.disabled_at is null
returning l.user_id, l.tenant_id, u.email;

-- name: drop_links
-- Ends the links of a user that were not used.
delete from platform.account_link where user_id = $1 and purpose = $2 and used_at is null;

-- name: verified
update platform.users set email_verified_at = coalesce(email_verified_at, now()) where user_id = $1;

-- name: set_password
-- $1 user, $2 hash, $3 whether a mail to the person's address led here, $4 the hash that must still be there, or null.
update platform.users
set password_hash = $2, failed_signins = 0, locked_until = null,
    email_verified_at = case when $3 then coalesce(email_verified_at, now()) else email_verified_at end
where user_id = $1 and disabled_at is null and ($4::text is null or password_hash = $4)
returning user_id;

-- name: invite
-- $1 tenant, $2 e-mail, $3 role, $4 hash, $5 who, $6 seconds that it works.
insert into platform.invitation (tenant_id, email, role, token_hash, invited_by, expires_at)
values ($1, $2, $3, $4, $5, now() + make_interval(secs => $6))
returning invitation_id, tenant_id, email, role, invited_by, created_at, sent_at, expires_at, accepted_at, revoked_at;

-- name: is_member
select exists (select from platform.users where tenant_id = $1 and email = $2);

-- name: list_invitations
-- Those that are open, or all; the newest first.
select invitation_id, tenant_id, email, role, invited_by, created_at, sent_at, expires_at, accepted_at, revoked_at
from platform.invitation
where tenant_id = $1 and ($2 or (accepted_at is null and revoked_at is null))
order by invitation_id desc;

-- name: resend
-- Gives an open invitation a new link; the one before works no more. $1 tenant, $2 id, $3 hash, $4 seconds.
update platform.invitation
set token_hash = $3, sent_at = now(), expires_at = now() + make_interval(secs => $4)
where tenant_id = $1 and invitation_id = $2 and accepted_at is null and revoked_at is null
returning invitation_id, tenant_id, email, role, invited_by, created_at, sent_at, expires_at, accepted_at, revoked_at;

-- name: revoke
update platform.invitation set revoked_at = now()
where tenant_id = $1 and invitation_id = $2 and accepted_at is null and revoked_at is null
returning invitation_id;

-- name: peek_invitation
select i.tenant_id, t.slug, t.name, i.email, i.role
from platform.invitation i join platform.tenant t using (tenant_id)
where i.token_hash = $1 and i.accepted_at is null and i.revoked_at is null and i.expires_at > now();

-- name: accept
-- Uses an invitation up: of several at once, one gets the row.
update platform.invitation set accepted_at = now()
where token_hash = $1 and accepted_at is null and revoked_at is null and expires_at > now()
returning tenant_id, email, role;

-- name: tenant
select tenant_id, slug, name from platform.tenant where tenant_id = $1;

-- name: prune_links
-- Deletes links that ended before $1, a thousand at a time; returns how many.
with old as (select token_hash from platform.account_link where expires_at < $1 order by expires_at limit 1000),
gone as (delete from platform.account_link l using old o where l.token_hash = o.token_hash returning 1)
select count(*) from gone;

-- name: prune_invitations
-- Deletes invitations that were over before $1, a thousand at a time; returns how many.
with old as (
  select invitation_id from platform.invitation where coalesce(accepted_at, revoked_at, expires_at) < $1
  order by invitation_id limit 1000),
gone as (delete from platform.invitation i using old o where i.invitation_id = o.invitation_id returning 1)
select count(*) from gone;
