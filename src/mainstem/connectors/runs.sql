-- Runs, their differences, and when the next one is due.

-- name: try_lead
-- One run of a connector in the cluster: the lock is the session's.
select pg_try_advisory_lock(hashtextextended('connector:' || $1::text || ':' || $2::text, 0))

-- name: stop_leading
select pg_advisory_unlock(hashtextextended('connector:' || $1::text || ':' || $2::text, 0))

-- name: begin
insert into connectors.run (tenant_id, connector, mode, dry_run, correlation_id, since, until, started_at, by)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
returning run_id

-- name: abandon
-- Runs that ended with their process.
update connectors.run set finished_at = now(), success = false, error = 'The process ended before the run did.'
where tenant_id = $1 and connector = $2 and finished_at is null and mode <> 'single'

-- name: finish
update connectors.run
set finished_at = $2, success = $3, error = $4, bookings_read = $5, bookings_taken = $6, bookings_refused = $7,
    orders_read = $8, queried = $9, injected = $10, skipped = $11, failed = $12, events = $13::jsonb
where run_id = $1

-- name: differ
insert into connectors.difference (tenant_id, run_id, kind, booking_id, local_id, order_id, sentence, done)
select $1, $2, g.* from unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
  as g (kind, booking_id, local_id, order_id, sentence, done)

-- name: schedule
insert into connectors.schedule (tenant_id, connector, next_at) values ($1, $2, $3)
on conflict (tenant_id, connector) do nothing

-- name: scheduled
select next_at, read_until from connectors.schedule where tenant_id = $1 and connector = $2

-- name: take_turn
-- Moves the next run on from when it was due: whoever does so has this turn.
update connectors.schedule set next_at = $4 where tenant_id = $1 and connector = $2 and next_at = $3
returning next_at

-- name: read_until
update connectors.schedule set read_until = greatest(read_until, $3) where tenant_id = $1 and connector = $2

-- name: runs
select run_id, mode, dry_run, correlation_id, since, until, started_at, finished_at, success, error, bookings_read,
       bookings_taken, bookings_refused, orders_read, queried, injected, skipped, failed, by,
       (select count(*) from connectors.difference d where d.run_id = r.run_id) as differences
from connectors.run r where tenant_id = $1 and connector = $2
order by run_id desc limit $3 offset $4

-- name: count_runs
select count(*) from connectors.run where tenant_id = $1 and connector = $2

-- name: run
select run_id, mode, dry_run, correlation_id, since, until, started_at, finished_at, success, error, bookings_read,
       bookings_taken, bookings_refused, orders_read, queried, injected, skipped, failed, by, events::text as events,
       (select count(*) from connectors.difference d where d.run_id = r.run_id) as differences
from connectors.run r
where tenant_id = $1 and connector = $2 and ($3::bigint is null and mode <> 'single' and finished_at is not null or run_id = $3)
order by run_id desc limit 1

-- name: differences
select kind, booking_id, local_id, order_id, sentence, done from connectors.difference where run_id = $1 order by difference_id

-- name: orders
select l.order_key, l.booking_id, b.name, b.takes_place_on, b.status as booking_status, l.order_hash, l.state, l.reason, l.error,
       l.local_id, l.order_id, l.sink_total, l.attempts, l.submitted_at, l.not_before, l.confirmed_at, l.created_at,
       l.changed_at, l.changed_by, l.correlation_id
from connectors.ledger l join connectors.booking b on b.booking_key = l.booking_key
where l.tenant_id = $1 and l.connector = $2 and ($3::text is null or l.state = $3) and ($4::text is null or l.booking_id = $4)
order by l.order_key desc limit $5 offset $6

-- name: count_orders
select count(*) from connectors.ledger l
where l.tenant_id = $1 and l.connector = $2 and ($3::text is null or l.state = $3) and ($4::text is null or l.booking_id = $4)

-- name: steps
select s.was, s.state, s.reason, s.order_id, s.by, s.at
from connectors.ledger_step s join connectors.ledger l on l.order_key = s.order_key
where l.tenant_id = $1 and l.connector = $2 and s.order_key = $3
order by s.step_id

-- name: state
select (select count(*) from connectors.booking where tenant_id = $1 and connector = $2) as bookings,
       (select coalesce(jsonb_object_agg(state, many), '{}') from (
          select state, count(*) as many from connectors.ledger where tenant_id = $1 and connector = $2 group by state) g
       )::text as orders,
       (select count(*) from connectors.delivery where tenant_id = $1 and connector = $2 and finished_at is null) as open_deliveries,
       (select max(received_at) from connectors.delivery where tenant_id = $1 and connector = $2) as last_delivery_at

-- name: prune
-- Deletes runs that ended before $1; returns how many.
with old as (select run_id from connectors.run where finished_at < $1 order by run_id limit 1000),
gone as (delete from connectors.run r using old o where r.run_id = o.run_id returning 1)
select count(*) from gone
