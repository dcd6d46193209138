-- Sign-ins of people.

-- name: begin
-- Makes the session of an enabled user; no row when the user was disabled or moved meanwhile, or has another password.
-- The lock makes whoever changes the password, and ends the sessions, wait for this one or this one for them.
-- $1 id, $2 tenant, $3 user, $4 user agent, $5 address, $6 lifetime in seconds, $7 hash of the password or null.
insert into platform.session (session_id, tenant_id, user_id, user_agent, address, expires_at)
select $1, u.tenant_id, u.user_id, $4, $5, now() + make_interval(secs => $6)
from platform.users u where u.tenant_id = $2 and u.user_id = $3 and u.disabled_at is null and ($7::text is null or u.password_hash = $7)
for share
returning session_id;

-- name: caller
-- Who an enabled user is, by a session that has not ended; notes that it was seen, not more often than each $2 seconds.
with seen as (
  update platform.session set last_seen_at = now()
  where session_id = $1 and ended_at is null and last_seen_at < now() - make_interval(secs => $2))
select u.user_id, u.tenant_id, t.slug, u.role, s.session_id
from platform.session s join platform.users u using (user_id) join platform.tenant t on t.tenant_id = u.tenant_id
where s.session_id = $1 and s.ended_at is null and s.expires_at > now() and u.disabled_at is null;

-- name: callers
-- Who is behind those of the sessions $1 that have not ended.
select u.user_id, u.tenant_id, t.slug, u.role, s.session_id
from platform.session s join platform.users u using (user_id) join platform.tenant t on t.tenant_id = u.tenant_id
where s.session_id = any ($1::uuid[]) and s.ended_at is null and s.expires_at > now() and u.disabled_at is null
order by s.session_id;

-- name: of_user
-- The sessions of a user that have not ended, the last seen first.
select session_id, user_agent, address, created_at, last_seen_at, expires_at
from platform.session
where tenant_id = $1 and user_id = $2 and ended_at is null and expires_at > now()
order by last_seen_at desc, session_id desc;

-- name: one
select session_id, user_agent, address, created_at, last_seen_at, expires_at
from platform.session
where tenant_id = $1 and user_id = $2 and session_id = $3 and ended_at is null and expires_at > now();

-- name: end
update platform.session set ended_at = now()
where tenant_id = $1 and user_id = $2 and session_id = $3 and ended_at is null and expires_at > now()
returning session_id;

-- name: end_others
-- Ends the sessions of a user but $3, all of them where that is null; returns how many.
with gone as (
  update platform.session set ended_at = now()
  where tenant_id = $1 and user_id = $2 and session_id is distinct from $3::uuid
    and ended_at is null and expires_at > now()
  returning 1)
select count(*) from gone;

-- name: prune
-- Deletes sessions that were over before $1, a thousand at a time; returns how many.
with old as (
  select session_id from platform.session where least(expires_at, ended_at) < $1
  order by least(expires_at, ended_at) limit 1000),
gone as (delete from platform.session s using old o where s.session_id = o.session_id returning 1)
select count(*) from gone;
