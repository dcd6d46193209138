-- What the worker asks and says. Its connection plans for indexes: the tables change between empty and huge.

-- name: claim
-- Begins the next attempts and returns all that is needed to send them.
select delivery_id, endpoint_id, attempt, tenant_id, created_at, event_uid, kind, source, subject, occurred_at,
       data::text as data
from webhooks.claim($1, $2, $3, $4, $5, $6, $7)
order by lane, delivery_id

-- name: renew
-- Keeps what is under way.
update webhooks.queue set leased_until = now() + $3::interval
where delivery_id = any ($2::bigint[]) and claim_id = $1
returning delivery_id

-- name: give_back
-- Returns deliveries whose attempt was claimed and not begun.
update webhooks.queue set claim_id = null, leased_until = '-infinity', attempt = greatest(attempt - 1, 0)
where delivery_id = any ($2::bigint[]) and claim_id = $1
returning delivery_id

-- name: endpoints
-- What is needed to call endpoints, with the secrets in force, the current one first.
select e.endpoint_id, e.uid, e.tenant_id, t.slug as tenant, e.name, e.url, e.headers, e.signature, e.envelope, e.timeout_ms,
       e.retry_policy::text as retry_policy, e.fifo, e.version,
       (select array_agg(row(s.kind, s.key_id, s.box, s.expires_at) order by s.expires_at desc nulls first)
        from webhooks.secret s
        where s.endpoint_id = e.endpoint_id and s.kind = e.signature and (s.expires_at is null or s.expires_at > now())
       ) as secrets
from webhooks.endpoint e
join platform.tenant t on t.tenant_id = e.tenant_id
where e.endpoint_id = any ($1::integer[]) and e.deleted_at is null

-- name: settle
-- Writes down attempts: those that are still this worker's leave the queue or wait in it, the rest is ignored. Returns the
-- ids that were this worker's.
with given as materialized (
  select * from unnest($2::bigint[], $3::smallint[], $4::text[], $5::timestamptz[], $6::timestamptz[], $7::integer[],
                       $8::text[], $9::smallint[], $10::text[], $11::text[], $12::boolean[])
    as g (delivery_id, attempt, status, next_at, at, duration_ms, outcome, status_code, error, response, fifo)
), mine as materialized (
  select g.*, q.endpoint_id
  from given g
  join webhooks.queue q on q.delivery_id = g.delivery_id and q.claim_id = $1 and q.attempt = g.attempt
  order by g.delivery_id
  for update of q
), gone as (
  delete from webhooks.queue q using mine m where q.delivery_id = m.delivery_id and m.status <> 'retrying'
), waiting as (
  update webhooks.queue q
  set claim_id = null, leased_until = '-infinity', lane = case when m.fifo then 0 else 1 end,
      -- the head of an ordered queue stays its head; the endpoint pauses instead
      due_at = case when m.fifo then q.due_at else m.next_at end
  from mine m where q.delivery_id = m.delivery_id and m.status = 'retrying'
), told as (
  update webhooks.delivery d
  set status = m.status, attempts = d.attempts + 1, last_status_code = m.status_code, last_error = m.error,
      attempted_at = m.at, next_attempt_at = m.next_at,
      finished_at = case when m.status <> 'retrying' then clock_timestamp() end
  from mine m where d.delivery_id = m.delivery_id
  returning d.delivery_id, d.tenant_id, d.attempts
), logged as (
  insert into webhooks.attempt (
    tenant_id, delivery_id, endpoint_id, number, at, duration_ms, outcome, status_code, error, response)
  select t.tenant_id, m.delivery_id, m.endpoint_id, t.attempts, m.at, m.duration_ms, m.outcome, m.status_code, m.error,
         m.response
  from mine m join told t on t.delivery_id = m.delivery_id
)
select delivery_id from mine

-- name: count
-- Adds attempts to the figures of their endpoints. A summary says what came after the last success of its batch.
insert into webhooks.endpoint_total as t (
  endpoint_id, tenant_id, delivered, failed, attempts, failed_attempts, ms_sum, ms_min, ms_max, consecutive_failures,
  failing_since, last_attempt_at, last_success_at, last_failure_at)
select * from unnest($1::integer[], $2::integer[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
                     $8::integer[], $9::integer[], $10::integer[], $11::timestamptz[], $12::timestamptz[],
                     $13::timestamptz[], $14::timestamptz[])
on conflict (endpoint_id) do update set
  delivered = t.delivered + excluded.delivered,
  failed = t.failed + excluded.failed,
  attempts = t.attempts + excluded.attempts,
  failed_attempts = t.failed_attempts + excluded.failed_attempts,
  ms_sum = t.ms_sum + excluded.ms_sum,
  ms_min = least(t.ms_min, excluded.ms_min),
  ms_max = greatest(t.ms_max, excluded.ms_max),
  consecutive_failures = excluded.consecutive_failures
    + case when excluded.last_success_at is null then t.consecutive_failures else 0 end,
  failing_since = case when excluded.last_success_at is null then coalesce(t.failing_since, excluded.failing_since)
                       else excluded.failing_since end,
  warned = case when excluded.last_success_at is null then t.warned else 0 end,
  last_attempt_at = greatest(t.last_attempt_at, excluded.last_attempt_at),
  last_success_at = greatest(t.last_success_at, excluded.last_success_at),
  last_failure_at = greatest(t.last_failure_at, excluded.last_failure_at)

-- name: count_minutes
insert into webhooks.endpoint_minute as t (endpoint_id, minute, tenant_id, delivered, failed, ms_sum, ms_max, ms_counts)
select g.endpoint_id, g.minute, g.tenant_id, g.delivered, g.failed, g.ms_sum, g.ms_max, g.ms_counts::integer[]
from unnest($1::integer[], $2::timestamptz[], $3::integer[], $4::integer[], $5::integer[], $6::bigint[], $7::integer[],
            $8::text[]) as g (endpoint_id, minute, tenant_id, delivered, failed, ms_sum, ms_max, ms_counts)
on conflict (endpoint_id, minute) do update set
  delivered = t.delivered + excluded.delivered,
  failed = t.failed + excluded.failed,
  ms_sum = t.ms_sum + excluded.ms_sum,
  ms_max = greatest(t.ms_max, excluded.ms_max),
  ms_counts = (select array_agg(a + b order by i) from unnest(t.ms_counts, excluded.ms_counts) with ordinality as u (a, b, i))

-- name: pause
-- Nothing goes to these endpoints before a time. A null pause: the last answer asked for none.
insert into webhooks.pace as p (endpoint_id, not_before, slowed)
select g.endpoint_id, coalesce(g.until, '-infinity'), case when g.slows then 1 else 0 end
from unnest($1::integer[], $2::timestamptz[], $3::boolean[]) as g (endpoint_id, until, slows)
on conflict (endpoint_id) do update set
  not_before = case when excluded.not_before = '-infinity' then p.not_before
                    else greatest(p.not_before, excluded.not_before) end,
  slowed = case when excluded.slowed > 0 then p.slowed + 1 else 0 end
where excluded.not_before > '-infinity' or p.slowed > 0

-- name: switch_off
-- Switches endpoints off; returns those that were on.
update webhooks.endpoint
set active = false, disabled_at = now(), disabled_reason = $2, version = version + 1, updated_at = now()
where endpoint_id = any ($1::integer[]) and active and deleted_at is null
returning endpoint_id, tenant_id, name, url, disabled_reason

-- name: judge
select endpoint_id, tenant_id, name, was, health from webhooks.judge($1::integer[])
