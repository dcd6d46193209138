-- Bookings as they are known, and the ledger of their orders.

-- name: lock_new
-- Makes the row of a booking that was never seen; returns nothing when there is one.
insert into connectors.booking (tenant_id, connector, establishment, booking_id, local_id, site_id, name, status,
                                takes_place_on, doc, doc_hash, seen_at, due_at, asked, people,
                                correlation_id)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::jsonb, $11, $12, $13, $14, $15::bytea[],
        $16)
on conflict on constraint booking_once_key do nothing
returning booking_key

-- name: lock
select booking_key, doc::text as doc, doc_hash, version, seen_at
from connectors.booking
where tenant_id = $1 and connector = $2 and establishment = $3 and booking_id = $4
for update

-- name: touch
-- Nothing new is known of a booking; it is looked at all the same.
update connectors.booking
set touched = touched + 1, due_at = least(due_at, $2), asked = asked or $3, seen_at = greatest(seen_at, $4),
    people = array(select distinct unnest(people || $5::bytea[])), correlation_id = coalesce($6, correlation_id)
where booking_key = $1

-- name: renew_booking
update connectors.booking
set local_id = $2, site_id = $3, name = $4, status = $5, takes_place_on = $6, doc = $7::jsonb, doc_hash = $8, seen_at = $9,
    version = version + 1, touched = touched + 1, due_at = least(due_at, $10), asked = asked or $11, attempts = 0,
    people = array(select distinct unnest(people || $12::bytea[])), correlation_id = coalesce($13, correlation_id),
    updated_at = now()
where booking_key = $1
returning version

-- name: due
-- Claims bookings that are due at $5, at most $6 of them, for a lease of $4.
with chosen as (
  select booking_key from connectors.booking
  where tenant_id = $1 and connector = $2 and due_at <= $5 and leased_until <= now()
  order by due_at, booking_key limit $6 for update skip locked
)
update connectors.booking b set claim_id = $3, leased_until = now() + $4::interval
from chosen c where b.booking_key = c.booking_key
returning b.booking_key

-- name: claim
-- Claims one booking, unless somebody has it.
update connectors.booking set claim_id = $2, leased_until = now() + $3::interval
where booking_key = $1 and leased_until <= now()
returning booking_key

-- name: hold
-- Locks a claimed booking for a step, as long as the claim holds, and renews its lease.
update connectors.booking set leased_until = now() + $3::interval
where booking_key = $1 and claim_id = $2 and leased_until > now()
returning booking_key, booking_id, name, doc::text as doc, version, touched, asked, result, reason, error, attempts, unsure, correlation_id

-- name: one
select booking_key, booking_id, name, doc::text as doc, version, touched, asked, result, reason, error, attempts, unsure, correlation_id
from connectors.booking where booking_key = $1

-- name: find_key
select booking_key from connectors.booking
where tenant_id = $1 and connector = $2 and establishment = $3 and booking_id = $4

-- name: of_days
select booking_key, booking_id, name, doc::text as doc, version, touched, asked, result, reason, error, attempts, unsure, correlation_id
from connectors.booking
where tenant_id = $1 and connector = $2 and establishment = $3 and takes_place_on between $4 and $5
order by booking_key

-- name: orders_of_all
select booking_key, order_key, order_hash, state, reason, error, local_id, plan::text as plan, order_id, sink_total, attempts,
       submitted_at, not_before, changed_by
from connectors.ledger where booking_key = any ($1::bigint[]) order by order_key

-- name: with_lines
-- Bookings whose items are known, with what they cost when they were read last.
select booking_id, doc ->> 'total' as total from connectors.booking
where tenant_id = $1 and connector = $2 and establishment = $3 and booking_id = any ($4::text[])
  and jsonb_typeof(doc -> 'lines') = 'array'

-- name: by_local_ids
select local_id from connectors.booking where tenant_id = $1 and connector = $2 and local_id = any ($3::text[])

-- name: orders_of
select order_key, order_hash, state, reason, error, local_id, plan::text as plan, order_id, sink_total, attempts, submitted_at,
       not_before, changed_by
from connectors.ledger where booking_key = $1 order by order_key

-- name: release
-- Gives a booking back with what came of it. What was told meanwhile makes it due at once.
update connectors.booking
set claim_id = null, leased_until = '-infinity', result = $3, reason = $4, error = $5,
    attempts = case when $8 then attempts + 1 else 0 end,
    asked = asked and touched <> $6,
    due_at = case when touched = $6 then coalesce($7::timestamptz, 'infinity') else '-infinity' end
where booking_key = $1 and claim_id = $2
returning booking_key

-- name: let_go
-- Gives a booking back that was not worked on to its end; it is due again at $3.
update connectors.booking set claim_id = null, leased_until = '-infinity', due_at = least(due_at, $3)
where booking_key = $1 and claim_id = $2

-- name: supersede
-- Rows of a booking that wait, other than one, make room for it.
update connectors.ledger set state = 'superseded', changed_at = now(), changed_by = $3
where booking_key = $1 and state in ('deferred', 'planned', 'blocked', 'failed') and order_key is distinct from $2

-- name: insert_order
insert into connectors.ledger (tenant_id, booking_key, connector, establishment, booking_id, order_hash, state, reason, error,
                               local_id, plan, not_before, changed_by, correlation_id)
select tenant_id, booking_key, connector, establishment, booking_id, $2, $3, $4, $5, local_id, $6::jsonb, $7, $8,
       correlation_id
from connectors.booking where booking_key = $1
returning order_key

-- name: step
-- Moves an order to a state, if it is where it is thought to be.
update connectors.ledger
set state = $3, reason = $4, error = $5, order_id = coalesce($6, order_id), sink_total = coalesce($7, sink_total),
    not_before = coalesce($8, not_before), plan = coalesce($9::jsonb, plan), changed_at = now(), changed_by = $10,
    attempts = attempts + case when $3 = 'submitting' then 1 else 0 end,
    submitted_at = case when $3 = 'submitting' then $11 else submitted_at end,
    confirmed_at = case when $3 = 'confirmed' then $11 else confirmed_at end,
    correlation_id = coalesce(
      (select b.correlation_id from connectors.booking b where b.booking_key = ledger.booking_key), correlation_id)
where order_key = $1 and state = $2
returning order_key, attempts

-- name: unsure
-- Notes whether something else may be there than the confirmed row says.
update connectors.booking set unsure = $2 where booking_key = $1 and unsure <> $2

-- name: others_over
-- Once an order stands, the rows before it have had theirs.
update connectors.ledger set state = 'superseded', changed_at = now(), changed_by = $3
where booking_key = $1 and order_key <> $2 and state = 'confirmed'

-- name: drop_waiting
update connectors.ledger set state = 'voided', reason = $2, changed_at = now(), changed_by = $3
where booking_key = $1 and state in ('deferred', 'planned', 'blocked', 'failed')

-- name: all_void
update connectors.ledger set state = 'voided', reason = $2, changed_at = now(), changed_by = $3
where booking_key = $1 and state in ('deferred', 'planned', 'blocked', 'failed', 'confirmed', 'submitting', 'unknown')
returning order_key, order_hash, order_id

-- name: fire_dry
-- Bookings that only DRY_RUN held back are looked at again.
update connectors.booking set due_at = '-infinity' where tenant_id = $1 and connector = $2 and reason = 'DRY_RUN'

-- name: fire_unmapped
-- Bookings that failed for their items are looked at again: the mapping has changed.
update connectors.booking set due_at = '-infinity', touched = touched + 1
where tenant_id = $1 and connector = $2 and establishment = $3
  and booking_key in (select booking_key from connectors.ledger where tenant_id = $1 and connector = $2
                      and state in ('failed', 'deferred', 'planned', 'blocked'))

-- name: ask
-- Has bookings looked at again, whatever became of them before.
update connectors.booking set due_at = least(due_at, $4), asked = true, touched = touched + 1
where tenant_id = $1 and connector = $2 and booking_id = any ($3::text[])
returning booking_key, booking_id
