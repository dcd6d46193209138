-- Replays: deliveries made again, slice by slice. The row of a replay is its progress, and its lock keeps two callers apart.

-- name: insert
-- Begins a replay; its id.
insert into webhooks.replay (tenant_id, endpoint_id, mode, kinds, since, until, total, position, created_by)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
returning replay_id

-- name: one
select replay_id, endpoint_id, mode, kinds, since, until, total, done, requeued, failure, created_by, created_at, finished_at
from webhooks.replay where tenant_id = $1 and endpoint_id = $2 and replay_id = $3

-- name: latest
select replay_id, endpoint_id, mode, kinds, since, until, total, done, requeued, failure, created_by, created_at, finished_at
from webhooks.replay where tenant_id = $1 and endpoint_id = $2
order by replay_id desc
limit $3

-- name: open
-- Replays that are under way, the oldest first.
select replay_id from webhooks.replay where finished_at is null order by replay_id

-- name: lock
-- A replay that is under way, unless somebody else is at it.
select replay_id, tenant_id, endpoint_id, mode, kinds, since, until, total, done, requeued, position
from webhooks.replay where replay_id = $1 and finished_at is null
for update skip locked

-- name: advance
-- Writes down a slice; $5 says that it was the last.
update webhooks.replay
set position = $2, done = done + $3, requeued = requeued + $4, finished_at = case when $5 then clock_timestamp() end
where replay_id = $1

-- name: fail
-- Ends a replay that can't go on.
update webhooks.replay set failure = $2, finished_at = clock_timestamp() where replay_id = $1 and finished_at is null

-- name: count_failed
-- Dead letters that a replay of them looks at.
select count(*) from webhooks.delivery d
where d.tenant_id = $1 and d.endpoint_id = $2 and d.status = 'failed' and d.delivery_id >= $3
  and d.created_at >= $4 and d.created_at < $5 and ($6::text is null or d.kind ~ $6)

-- name: failed
-- The next dead letters after the position $3, and whether their events are still kept.
select d.delivery_id, exists (select from webhooks.message m where m.message_id = d.message_id) as kept
from webhooks.delivery d
where d.tenant_id = $1 and d.endpoint_id = $2 and d.status = 'failed' and d.delivery_id > $3
  and d.created_at >= $4 and d.created_at < $5 and ($6::text is null or d.kind ~ $6)
order by d.delivery_id
limit $7

-- name: count_events
-- Events that came in within the window, by the ledger: give or take those of the batches at its ends.
select coalesce(sum(b.events), 0)::bigint from raw.batch b
where b.tenant_id = $1 and b.received_to >= $2 and b.received_from < $3 and b.origin <> all ($4::text[])

-- name: batches
-- The next loaded batches after $2 that may hold events of the window, and how many events they make together.
select b.batch_id, b.events, b.received_from, b.received_to
from raw.batch b
where b.tenant_id = $1 and b.batch_id > $2 and b.received_to >= $3 and b.received_from < $4
  and b.loaded_at is not null and b.origin <> all ($6::text[])
order by b.batch_id
limit $5

-- name: missing
-- Loaded events of some batches within the window that have no delivery to the endpoint. A batch's events are in one range.
select e.raw_id, e.received_at, e.tenant_id, e.event_uid, e.kind, e.occurred_at, e.source, e.message_id, e.subject,
       e.visitor, e.ip, e.user_agent, e.flags, e.data::text as data
from unnest($3::bigint[], $4::bigint[], $5::timestamptz[], $6::timestamptz[]) as b (first_id, last_id, since, until)
cross join lateral (
  select r.* from raw.event r
  where r.received_at >= b.since and r.received_at <= b.until and r.raw_id between b.first_id and b.last_id
    and r.tenant_id = $1 and r.received_at >= $7 and r.received_at < $8 and ($9::text is null or r.kind ~ $9)) e
join vault.event_seen s on s.tenant_id = $1 and s.event_uid = e.event_uid and s.raw_id = e.raw_id
where not exists (select from staging.rejected x where x.raw_id = e.raw_id)
  and not exists (select from webhooks.delivery d where d.endpoint_id = $2 and d.event_uid = e.event_uid)
order by e.raw_id

-- name: target
-- The endpoint as the fan-out knows it, and whether it gets events now.
select endpoint_id, tenant_id, version, kinds, filter::text as filter, active
from webhooks.endpoint
where tenant_id = $1 and endpoint_id = $2 and deleted_at is null

-- name: behind
-- Puts what was just queued behind first attempts.
update webhooks.queue q set lane = 1
from webhooks.delivery d
where d.endpoint_id = $1 and d.event_uid = any ($2::uuid[]) and q.delivery_id = d.delivery_id and q.attempt = 0
