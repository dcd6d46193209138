-- name: caller_of_key
-- What a live key may do, by the SHA-256 of its text; one of a person lives no longer than the person may come in.
select k.api_key_id, k.tenant_id, t.slug, k.kind, k.scopes, k.allowed_origins, k.user_id, u.role
from platform.api_key k join platform.tenant t using (tenant_id) left join platform.users u on u.user_id = k.user_id
where k.key_hash = $1 and k.revoked_at is null and (k.user_id is null or u.disabled_at is null);

-- name: caller_of_email
-- Who an enabled user is, by an e-mail that is known to be the person's: a stranger may have signed up with it.
select u.user_id, u.tenant_id, t.slug, u.role
from platform.users u join platform.tenant t using (tenant_id)
where u.email = $1 and u.disabled_at is null and u.email_verified_at is not null;

-- name: callers_of_keys
-- What those of the keys $1 may do that are live.
select k.api_key_id, k.tenant_id, t.slug, k.kind, k.scopes, k.allowed_origins, k.user_id, u.role
from platform.api_key k join platform.tenant t using (tenant_id) left join platform.users u on u.user_id = k.user_id
where k.api_key_id = any ($1::integer[]) and k.revoked_at is null and (k.user_id is null or u.disabled_at is null)
order by k.api_key_id;

-- name: callers_of_users
-- Who those of the users $1 are that are enabled.
select u.user_id, u.tenant_id, t.slug, u.role
from platform.users u join platform.tenant t using (tenant_id)
where u.user_id = any ($1::uuid[]) and u.disabled_at is null
order by u.user_id;

-- name: insert_key
insert into platform.api_key (tenant_id, key_hash, prefix, label, kind, scopes, allowed_origins, imported, user_id)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
returning api_key_id, prefix, label, kind, scopes, allowed_origins, imported, user_id, created_at, revoked_at;

-- name: list_keys
-- All keys of a tenant, newest first; revoked ones only where asked for.
select api_key_id, prefix, label, kind, scopes, allowed_origins, imported, user_id, created_at, revoked_at
from platform.api_key
where tenant_id = $1 and ($2 or revoked_at is null)
order by api_key_id desc;

-- name: list_keys_of_user
-- The live keys that act for a person, newest first.
select api_key_id, prefix, label, kind, scopes, allowed_origins, imported, user_id, created_at, revoked_at
from platform.api_key
where tenant_id = $1 and user_id = $2 and revoked_at is null
order by api_key_id desc;

-- name: revoke_key_of_user
update platform.api_key set revoked_at = coalesce(revoked_at, now())
where tenant_id = $1 and user_id = $2 and api_key_id = $3
returning api_key_id, prefix, label, kind, scopes, allowed_origins, imported, user_id, created_at, revoked_at;

-- name: revoke_key
-- Revokes once; a second time changes nothing and finds the row again.
update platform.api_key set revoked_at = coalesce(revoked_at, now())
where tenant_id = $1 and api_key_id = $2
returning api_key_id, prefix, label, kind, scopes, allowed_origins, imported, user_id, created_at, revoked_at;

-- name: insert_tenant
insert into platform.tenant (slug, name) values ($1, $2)
returning tenant_id, slug, name, created_at;

-- name: list_tenants
select tenant_id, slug, name, created_at from platform.tenant order by slug;

-- name: tenant_by_slug
select tenant_id, slug, name, created_at from platform.tenant where slug = $1;

-- name: insert_user
insert into platform.users (user_id, tenant_id, email, name, password_hash, role, email_verified_at)
values ($1, $2, $3, $4, $5, $6, case when $7 then now() end)
returning user_id, tenant_id, email, name, role, created_at, disabled_at, email_verified_at;

-- name: welcome
insert into platform.users (user_id, tenant_id, email, name, role, email_verified_at)
values ($1, $2, $3, $4, $5, now())
on conflict (email) do nothing;

-- name: user_by_email
select user_id, tenant_id, email, name, role, created_at, disabled_at, email_verified_at
from platform.users where email = $1;

-- name: user_by_id
select user_id, tenant_id, email, name, role, created_at, disabled_at, email_verified_at
from platform.users where user_id = $1;

-- name: list_users
select user_id, tenant_id, email, name, role, created_at, disabled_at, email_verified_at
from platform.users where tenant_id = $1 order by email;

-- name: set_disabled
update platform.users set disabled_at = case when $2 then coalesce(disabled_at, now()) end
where user_id = $1
returning user_id, tenant_id, email, name, role, created_at, disabled_at, email_verified_at;

-- name: begin_signin
-- Counts the attempt as failed before the password is looked at, so that parallel guesses can't outrun the
-- limit; a locked user is left as it is. $1 e-mail, $2 most failures, $3 seconds of the lock.
with attempt as (
  update platform.users
  set failed_signins = case when locked_until is null then failed_signins + 1 else 1 end,
      locked_until = case
        when locked_until is null and failed_signins + 1 >= $2 then now() + make_interval(secs => $3) end
  where email = $1 and (locked_until is null or locked_until <= now())
  returning user_id)
select u.user_id, u.tenant_id, t.slug, u.email, u.name, u.role, u.password_hash, u.created_at, u.disabled_at,
       u.email_verified_at,
       exists (select from attempt) as counted,
       ceil(extract(epoch from u.locked_until - now()))::integer as locked_s
from platform.users u join platform.tenant t using (tenant_id)
where u.email = $1;

-- name: succeed_signin
-- $1 user, $2 better hash of the same password, $3 the one that it matched: nothing when it was changed meanwhile.
update platform.users
set failed_signins = 0, locked_until = null, password_hash = coalesce($2, password_hash)
where user_id = $1 and password_hash = $3
returning password_hash;

-- name: forget_stranger
-- Takes out what is counted against an e-mail that nobody has. $1 subject.
delete from platform.rate_window where subject = $1 returning window_at, used;

-- name: count_stranger
-- $1 subject, $2 when this was counted, $3 failures.
insert into platform.rate_window (subject, window_at, used) values ($1, $2, $3)
on conflict (subject, window_at) do update set used = greatest(rate_window.used, excluded.used);

-- name: lock_subject
select pg_advisory_xact_lock(hashtextextended($1, 20));

-- name: spend
-- Spends from a sliding window in one round trip: the previous fixed window counts by the share of it that the
-- sliding one still covers. The row lock of the upsert makes it exact between processes; the clock is the
-- database's for all of them. $1 subject, $2 window in seconds, $3 limit, $4 cost.
with clock as (
  select to_timestamp(floor(extract(epoch from now()) / $2::integer) * $2::integer) as window_at,
         extract(epoch from now())::float8 - floor(extract(epoch from now()) / $2::integer)::float8 * $2::integer as elapsed_s),
carried as (
  select c.window_at, c.elapsed_s, coalesce(p.used, 0) as previous,
         floor($3::bigint - coalesce(p.used, 0) * (1 - c.elapsed_s / $2::integer))::bigint as room
  from clock c
  left join platform.rate_window p
    on p.subject = $1 and p.window_at = c.window_at - make_interval(secs => $2::integer)),
spent as (
  insert into platform.rate_window as w (subject, window_at, used)
  select $1, window_at, $4::bigint from carried where $4::bigint <= room
  on conflict (subject, window_at) do update set used = w.used + excluded.used
  where w.used + excluded.used <= (select room from carried)
  returning used)
select c.elapsed_s, c.previous, (select used from spent) as spent,
       (select w.used from platform.rate_window w where w.subject = $1 and w.window_at = c.window_at) as before
from carried c;
