-- What keeps endpoints and their history in order.

-- name: long_failing
-- Endpoints that are on and whose attempts have failed since $1 or longer, the last of them after it.
select e.endpoint_id, e.tenant_id, e.name, e.url, t.failing_since, t.last_failure_at, t.consecutive_failures, t.warned
from webhooks.endpoint_total t
join webhooks.endpoint e on e.endpoint_id = t.endpoint_id and e.active and e.deleted_at is null
where t.failing_since is not null and t.last_failure_at - t.failing_since >= $1::interval
order by e.endpoint_id

-- name: lock_total
-- The figures of one of them, unless somebody else is at it.
select failing_since, last_failure_at, consecutive_failures, warned from webhooks.endpoint_total
where endpoint_id = $1 for update skip locked

-- name: warned
update webhooks.endpoint_total set warned = $2 where endpoint_id = $1

-- name: expire
-- Gives up what has waited for longer than is kept, a thousand at a time: its event goes, too. Returns how many.
with old as materialized (
  select q.delivery_id, q.endpoint_id
  from webhooks.queue q join webhooks.delivery d on d.delivery_id = q.delivery_id
  where d.created_at < $1 and q.leased_until < now()
  order by q.delivery_id limit 1000
  for update of q skip locked
), gone as (
  delete from webhooks.queue q using old o where q.delivery_id = o.delivery_id
), told as (
  update webhooks.delivery d
  set status = 'failed', finished_at = now(), next_attempt_at = null,
      last_error = 'Given up: it waited for longer than WEBHOOK_RETENTION_DAYS.'
  from old o where d.delivery_id = o.delivery_id
  returning d.endpoint_id, d.tenant_id
), counted as (
  insert into webhooks.endpoint_total as t (endpoint_id, tenant_id, failed)
  select endpoint_id, tenant_id, count(*) from told group by endpoint_id, tenant_id order by endpoint_id
  on conflict (endpoint_id) do update set failed = t.failed + excluded.failed
)
select count(*) from old

-- name: prune_deliveries
-- Deletes deliveries from before $1, all of which are finished by now; returns how many. Only the first are looked at, for ids
-- grow with time: a search for old ones would read all when there are none.
with old as (
  select f.delivery_id
  from (select delivery_id, created_at, finished_at from webhooks.delivery order by delivery_id limit 5000) f
  where f.created_at < $1 and f.finished_at is not null
), gone as (delete from webhooks.delivery d using old o where d.delivery_id = o.delivery_id returning 1)
select count(*) from gone

-- name: prune_attempts
with old as (
  select f.attempt_id from (select attempt_id, at from webhooks.attempt order by attempt_id limit 5000) f where f.at < $1
),
gone as (delete from webhooks.attempt a using old o where a.attempt_id = o.attempt_id returning 1)
select count(*) from gone

-- name: prune_messages
with old as (
  select f.message_id from (select message_id, created_at from webhooks.message order by message_id limit 5000) f
  where f.created_at < $1
),
gone as (delete from webhooks.message m using old o where m.message_id = o.message_id returning 1)
select count(*) from gone

-- name: prune_minutes
delete from webhooks.endpoint_minute where minute < $1

-- name: deleted
select endpoint_id from webhooks.endpoint where deleted_at is not null order by endpoint_id limit 100

-- name: empty_endpoint
-- Deletes deliveries of a deleted endpoint, with their attempts, a thousand at a time; returns how many.
with few as (
  select delivery_id from webhooks.delivery where endpoint_id = $1 order by delivery_id desc limit 1000
), waiting as (delete from webhooks.queue q using few s where q.delivery_id = s.delivery_id),
tried as (delete from webhooks.attempt a using few s where a.delivery_id = s.delivery_id),
gone as (delete from webhooks.delivery d using few s where d.delivery_id = s.delivery_id returning 1)
select count(*) from gone

-- name: remove_endpoint
delete from webhooks.endpoint where endpoint_id = $1 and deleted_at is not null
