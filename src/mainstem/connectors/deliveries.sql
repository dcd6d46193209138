-- Deliveries as they came.

-- name: store
-- Stores a delivery that has still to be worked on, claimed by whoever took it in; nothing when its body has come before.
insert into connectors.delivery (tenant_id, connector, received_at, signature, header_names, body_sha256, body_bytes, body,
                                 due_at, claim_id, leased_until, correlation_id)
values ($1, $2, $3, 'valid', $4, $5, $6, $7, $3, $8, now() + $9::interval, $10)
on conflict (tenant_id, connector, body_sha256) where signature = 'valid' and repeats is null do nothing
returning delivery_id

-- name: store_again
-- Stores a delivery whose body has come before, to be worked on all the same; nothing while another such one is open.
insert into connectors.delivery (tenant_id, connector, received_at, signature, header_names, body_sha256, body_bytes, body,
                                 due_at, claim_id, leased_until, repeats, attempts, correlation_id)
select $1, $2, $3, 'valid', $4, $5, $6, $7, $3, $8, now() + $9::interval, $10, 1, $11
where not exists (select from connectors.delivery where repeats = $10 and finished_at is null)
returning delivery_id

-- name: store_done
-- Stores a delivery that nothing is done about, without its body; a repetition names the first.
insert into connectors.delivery (tenant_id, connector, received_at, signature, header_names, body_sha256, body_bytes, due_at,
                                 repeats, trigger, booking_id, order_id, outcome, ok, processed, finished_at,
                                 correlation_id)
values ($1, $2, $3, $4, $5, $6, $7, $3, $8, $9, $10, $11, $12, $13, false, $3, $14)
returning delivery_id

-- name: trim
-- Deletes all but the newest $3 of the deliveries that nothing was done about; returns how many.
with gone as (
  delete from connectors.delivery
  where tenant_id = $1 and connector = $2 and (signature <> 'valid' or repeats is not null) and finished_at is not null
    and delivery_id <= (
      select delivery_id from connectors.delivery
      where tenant_id = $1 and connector = $2 and (signature <> 'valid' or repeats is not null)
      order by delivery_id desc limit 1 offset $3)
  returning 1)
select count(*) from gone

-- name: first
select delivery_id, trigger, booking_id, order_id, finished_at, ok from connectors.delivery
where tenant_id = $1 and connector = $2 and body_sha256 = $3 and signature = 'valid' and repeats is null

-- name: claim
-- Claims deliveries that are still to be worked on.
with chosen as (
  select delivery_id from connectors.delivery
  where tenant_id = $1 and connector = $2 and finished_at is null and due_at <= $5 and leased_until <= now()
  order by due_at, delivery_id limit $6 for update skip locked
)
update connectors.delivery d set claim_id = $3, leased_until = now() + $4::interval, attempts = attempts + 1
from chosen c where d.delivery_id = c.delivery_id
returning d.delivery_id, d.received_at, d.body, d.attempts, (d.replayed or d.repeats is not null) as again,
          d.correlation_id

-- name: finish
update connectors.delivery
set outcome = $3, ok = $4, processed = $5, trigger = $6, booking_id = $7, order_id = $8, error = $9, finished_at = $10,
    claim_id = null, leased_until = '-infinity'
where delivery_id = $1 and claim_id = $2 and finished_at is null
returning delivery_id

-- name: put_off
update connectors.delivery
set due_at = $3, error = $4, claim_id = null, leased_until = '-infinity'
where delivery_id = $1 and claim_id = $2 and finished_at is null
returning delivery_id

-- name: replay
-- Has a finished delivery worked on again, as long as its body is kept.
update connectors.delivery
set outcome = null, ok = null, processed = null, finished_at = null, due_at = now(), replayed = true
where tenant_id = $1 and connector = $2 and delivery_id = $3 and finished_at is not null and body is not null
returning delivery_id

-- name: page
select delivery_id, received_at, signature, header_names, body_sha256, body_bytes, repeats, trigger, booking_id, outcome, ok,
       processed, order_id, error, attempts, finished_at, correlation_id
from connectors.delivery
where tenant_id = $1 and connector = $2 and ($3::text is null or booking_id = $3)
order by delivery_id desc limit $4 offset $5

-- name: count
select count(*) from connectors.delivery where tenant_id = $1 and connector = $2 and ($3::text is null or booking_id = $3)

-- name: prune
-- Deletes deliveries that were done with before $1, a thousand at a time; returns how many.
with old as (
  select delivery_id from connectors.delivery where received_at < $1 and finished_at is not null
  order by received_at limit 1000
), gone as (delete from connectors.delivery d using old o where d.delivery_id = o.delivery_id returning 1)
select count(*) from gone
