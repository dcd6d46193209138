-- Deliveries and attempts as the API shows them, for the tenant of the transaction. Totals come from counters.

-- name: bound
-- The first delivery of an endpoint made at $3 or later; null: none. Found by halving, because ids grow with time: give or
-- take what one transaction lasts, so whoever asks looks at the time itself, too.
with recursive ends as (
  select min(d.delivery_id) as low, max(d.delivery_id) as high
  from webhooks.delivery d where d.tenant_id = $1 and d.endpoint_id = $2
), half (low, high, n) as (
  select e.low, e.high + 1, 0 from ends e where e.low is not null
  union all
  select case when p.created_at < $3 then p.delivery_id + 1 else h.low end,
         case when p.created_at < $3 then h.high else m.middle end, h.n + 1
  from half h
  cross join lateral (select (h.low + h.high) / 2 as middle) m
  cross join lateral (
    select d.delivery_id, d.created_at from webhooks.delivery d
    where d.endpoint_id = $2 and d.delivery_id >= m.middle order by d.delivery_id limit 1) p
  where h.low < h.high and h.n < 64
)
select low from half order by n desc limit 1

-- name: page
-- Deliveries of an endpoint, the latest first; the null filters are left out.
select d.delivery_id, d.endpoint_id, d.event_uid, d.kind, d.status, d.attempts, d.last_status_code, d.last_error,
       d.next_attempt_at, d.created_at, d.attempted_at, d.finished_at
from webhooks.delivery d
where d.tenant_id = $1 and d.endpoint_id = $2
  and ($3::bigint is null or d.delivery_id < $3)
  and ($4::bigint is null or d.delivery_id >= $4)
  and ($5::text is null or d.status = $5)
  and ($6::text is null or d.kind ~ $6)
  and ($7::timestamptz is null or d.created_at >= $7)
  and ($8::timestamptz is null or d.created_at < $8)
order by d.delivery_id desc
limit $9 offset $10

-- name: count
-- As many as `page` finds on all pages, up to $9.
select count(*) from (
  select from webhooks.delivery d
  where d.tenant_id = $1 and d.endpoint_id = $2
    and ($3::bigint is null or d.delivery_id < $3)
    and ($4::bigint is null or d.delivery_id >= $4)
    and ($5::text is null or d.status = $5)
    and ($6::text is null or d.kind ~ $6)
    and ($7::timestamptz is null or d.created_at >= $7)
    and ($8::timestamptz is null or d.created_at < $8)
  limit $9) found

-- name: totals
-- Deliveries of an endpoint by status; of those that wait, the queue knows which wait for another attempt.
select coalesce(c.deliveries, 0) as made, coalesce(t.delivered, 0) as delivered, coalesce(t.failed, 0) as failed,
       case when $3 then (
         select count(*) from webhooks.queue q
         join webhooks.delivery d on d.delivery_id = q.delivery_id and d.status = 'retrying'
         where q.endpoint_id = $2) end as retrying
from webhooks.endpoint e
left join webhooks.endpoint_created c on c.endpoint_id = e.endpoint_id
left join webhooks.endpoint_total t on t.endpoint_id = e.endpoint_id
where e.tenant_id = $1 and e.endpoint_id = $2

-- name: one
-- A delivery with its event, while that is kept.
select d.delivery_id, d.endpoint_id, d.event_uid, d.kind, d.status, d.attempts, d.last_status_code, d.last_error,
       d.next_attempt_at, d.created_at, d.attempted_at, d.finished_at, m.source, m.subject, m.occurred_at,
       m.data::text as data
from webhooks.delivery d
left join webhooks.message m on m.message_id = d.message_id
where d.tenant_id = $1 and d.delivery_id = $2
  and exists (select from webhooks.endpoint e where e.endpoint_id = d.endpoint_id and e.deleted_at is null)

-- name: attempts_of_delivery
-- The last attempts of a delivery, the first of them first.
select * from (
  select a.attempt_id, a.delivery_id, a.number, a.at, a.duration_ms, a.outcome, a.status_code, a.error, a.response
  from webhooks.attempt a
  where a.tenant_id = $1 and a.delivery_id = $2
  order by a.attempt_id desc
  limit 100) last
order by attempt_id

-- name: attempts_of_endpoint
-- Attempts of an endpoint, the latest first, below the id $3.
select a.attempt_id, a.delivery_id, a.number, a.at, a.duration_ms, a.outcome, a.status_code, a.error, a.response
from webhooks.attempt a
where a.tenant_id = $1 and a.endpoint_id = $2
  and ($3::bigint is null or a.attempt_id < $3)
  and ($4::text is null or a.outcome = $4)
order by a.attempt_id desc
limit $5

-- name: series
-- Attempts of an endpoint from $3 until before $4, summed over steps of $5.
select date_bin($5::interval, m.minute, 'epoch'::timestamptz) as at, sum(m.delivered) as delivered,
       sum(m.failed) as failed, sum(m.ms_sum)::bigint as ms_sum, max(m.ms_max) as ms_max,
       array[sum(m.ms_counts[1]), sum(m.ms_counts[2]), sum(m.ms_counts[3]), sum(m.ms_counts[4]), sum(m.ms_counts[5]),
             sum(m.ms_counts[6]), sum(m.ms_counts[7]), sum(m.ms_counts[8]), sum(m.ms_counts[9]), sum(m.ms_counts[10]),
             sum(m.ms_counts[11]), sum(m.ms_counts[12])]::bigint[] as ms_counts
from webhooks.endpoint_minute m
where m.tenant_id = $1 and m.endpoint_id = $2 and m.minute >= $3 and m.minute < $4
group by 1
order by 1

-- name: lock_waiting
-- Whether a delivery has a place in the queue, which is locked then; before the delivery itself, as workers lock them.
with place as materialized (select from webhooks.queue where delivery_id = $1 for update)
select exists (select from place)

-- name: lock
-- A delivery that is to be sent again.
select d.delivery_id, d.endpoint_id, d.status, e.active,
       exists (select from webhooks.message m where m.message_id = d.message_id) as kept
from webhooks.delivery d
join webhooks.endpoint e on e.endpoint_id = d.endpoint_id and e.deleted_at is null
where d.tenant_id = $1 and d.delivery_id = $2
for update of d

-- name: requeue
-- Queues finished deliveries once more, attempts kept, and takes them out of the counters; how many there were.
with picked as materialized (
  select d.delivery_id, d.endpoint_id, d.tenant_id, d.status
  from webhooks.delivery d
  where d.tenant_id = $1 and d.delivery_id = any ($2::bigint[]) and d.status in ('delivered', 'failed')
  order by d.delivery_id
  for update
), again as (
  update webhooks.delivery d
  set status = 'pending', next_attempt_at = now(), finished_at = null
  from picked p where d.delivery_id = p.delivery_id
), queued as (
  insert into webhooks.queue (delivery_id, endpoint_id, lane) select delivery_id, endpoint_id, $3 from picked
), counted as (
  update webhooks.endpoint_total t
  set delivered = t.delivered - n.delivered, failed = t.failed - n.failed
  from (select p.endpoint_id, count(*) filter (where p.status = 'delivered') as delivered,
               count(*) filter (where p.status = 'failed') as failed
        from picked p group by p.endpoint_id) n
  where t.endpoint_id = n.endpoint_id
)
select count(*) from picked

-- name: hurry
-- Makes a delivery that waits due now, ahead of retries; nothing while it is under way.
update webhooks.queue q set due_at = now(), lane = 0
where q.delivery_id = $1 and q.leased_until < now()

-- name: hurried
-- The delivery says so, too, and an ordered queue ends the pause that its head has caused.
with told as (
  update webhooks.delivery set next_attempt_at = now() where tenant_id = $1 and delivery_id = $2 returning endpoint_id
)
update webhooks.pace p set not_before = '-infinity'
from told t join webhooks.endpoint e on e.endpoint_id = t.endpoint_id and e.fifo
where p.endpoint_id = t.endpoint_id

-- name: wake
-- Wakes the workers when this commits.
select pg_notify('mainstem_deliver', '')

-- name: insert_test
-- A message for one endpoint alone, and its delivery.
with kept as (
  insert into webhooks.message (tenant_id, event_uid, kind, source, subject, occurred_at, received_at, data)
  values ($1, $3, $4, 'mainstem', 'webhook:' || $2::integer, now(), now(), $5::json)
  returning message_id
), made as (
  insert into webhooks.delivery (tenant_id, endpoint_id, message_id, event_uid, kind)
  select $1, $2, k.message_id, $3, $4 from kept k
  returning delivery_id
), counted as (
  update webhooks.endpoint_created set deliveries = deliveries + 1 where tenant_id = $1 and endpoint_id = $2
)
select delivery_id from made

-- name: claim_test
-- Queues a delivery that $3 has claimed already: no worker takes it meanwhile. Apart, for row-level security looks for the
-- delivery, which a statement does not see that it makes.
insert into webhooks.queue (delivery_id, endpoint_id, attempt, claim_id, leased_until)
values ($1, $2, 1, $3, now() + $4::interval)
