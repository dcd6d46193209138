-- What connectors keep of people: found by what they are known by, told, and erased.

-- name: deliveries
-- Every delivery of a tenant whose body is kept.
select delivery_id, connector, received_at, booking_id, trigger, outcome, body from connectors.delivery
where tenant_id = $1 and body is not null order by delivery_id

-- name: blank_deliveries
-- Deletes the bodies of deliveries; one that was still to be worked on is over.
update connectors.delivery
set body = null, error = null, outcome = coalesce(outcome, 'NO_EVENT_DATA'), ok = coalesce(ok, false),
    processed = coalesce(processed, false), finished_at = coalesce(finished_at, now()), claim_id = null, leased_until = '-infinity'
where tenant_id = $1 and delivery_id = any ($2::bigint[])

-- name: bookings
-- Bookings in which somebody with one of the lookups $2 stood, and those of some deliveries (connectors $3, bookings $4).
select booking_key, connector, booking_id, name, site_id, status, takes_place_on, doc::text as doc, error from connectors.booking
where tenant_id = $1
  and (people && $2::bytea[] or (connector, booking_id) in (select * from unnest($3::text[], $4::text[])))
order by booking_key

-- name: blank_booking
update connectors.booking set name = $2, doc = $3::jsonb, error = $4, people = '{}' where booking_key = $1

-- name: orders
select order_key, connector, booking_id, local_id, order_id, state, plan::text as plan, error from connectors.ledger
where booking_key = any ($1::bigint[]) order by order_key

-- name: blank_order
update connectors.ledger set plan = $2::jsonb, error = $3 where order_key = $1

-- name: blank_differences
update connectors.difference d set sentence = $5
from connectors.run r
where r.run_id = d.run_id and d.tenant_id = $1 and r.connector = $2 and d.sentence <> $5
  and (d.booking_id = any ($3::text[]) or exists (select from unnest($4::text[]) w where strpos(lower(d.sentence), w) > 0))

-- name: differences
select d.difference_id, r.connector, r.started_at, d.kind, d.booking_id, d.sentence
from connectors.difference d join connectors.run r on r.run_id = d.run_id
where d.tenant_id = $1 and (r.connector, d.booking_id) in (select * from unnest($2::text[], $3::text[]))
order by d.difference_id

-- name: blank_events
-- Names of bookings in the events of runs.
update connectors.run r
set events = (
  select coalesce(jsonb_agg(case when e ->> 'id' = any ($3::text[]) then e || jsonb_build_object('name', $4::text) else e end
                            order by place), '[]')
  from jsonb_array_elements(r.events) with ordinality t (e, place))
where r.tenant_id = $1 and r.connector = $2
  and exists (select from jsonb_array_elements(r.events) e where e ->> 'id' = any ($3::text[]) and e ->> 'name' <> $4)

-- name: mails
-- Mails about bookings (references $2), and others in which one of some words stands.
select mail_id, ref, receiver, subject, body, created_at from platform.mail
where tenant_id = $1 and (ref = any ($2::text[]) or exists (select from unnest($3::text[]) w where strpos(lower(body), w) > 0))
order by mail_id

-- name: blank_mail
update platform.mail set body = $2 where mail_id = $1
