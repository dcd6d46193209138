-- name: known_events
-- Which of these events the vault has already: they need not be sent again.
select event_uid
from vault.event_seen
where tenant_id = $1 and event_uid = any($2::uuid[]);

-- name: known_rejects
-- Which of these malformed lines were kept by an earlier import: same line number, same content.
select r.reason, r.payload
from staging.rejected r
join unnest($2::text[], $3::text[]) n (reason, payload) on n.reason = r.reason and n.payload = r.payload
where r.tenant_id = $1 and r.stage = 'import' and r.origin = 'access-log';

-- name: lock
-- Held by the connection for as long as the import runs: one at a time per tenant, so rejects are never doubled.
select pg_try_advisory_lock(hashtext('site.access_log'), $1::integer);

-- name: unlock
select pg_advisory_unlock(hashtext('site.access_log'), $1::integer);
