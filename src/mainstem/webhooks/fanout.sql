-- What a load leaves for the endpoints.

-- name: targets
-- The endpoints of some tenants that get events now.
select endpoint_id, tenant_id, version, kinds, filter::text as filter
from webhooks.endpoint
where tenant_id = any ($1::integer[]) and active and deleted_at is null
order by endpoint_id

-- name: fan_out
-- Messages with the endpoints of each (`1,5,9`), their deliveries, and the queue. Ids are drawn before anything is written,
-- so that no join is needed: a plan without statistics would make it a product. Returns how many deliveries there are now.
with given as materialized (
  select nextval('webhooks.message_message_id_seq') as message_id, g.*
  from unnest($1::integer[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::timestamptz[],
              $8::json[], $9::text[])
    as g (tenant_id, event_uid, kind, source, subject, occurred_at, received_at, data, endpoints)
), kept as (
  insert into webhooks.message (message_id, tenant_id, event_uid, kind, source, subject, occurred_at, received_at, data)
  overriding system value
  select message_id, tenant_id, event_uid, kind, source, subject, occurred_at, received_at, data from given
), made as (
  insert into webhooks.delivery (tenant_id, endpoint_id, message_id, event_uid, kind)
  select g.tenant_id, e.endpoint_id, g.message_id, g.event_uid, g.kind
  from given g cross join lateral unnest(string_to_array(g.endpoints, ',')::integer[]) as e (endpoint_id)
  order by g.message_id, e.endpoint_id
  on conflict (endpoint_id, event_uid) do nothing
  returning delivery_id, endpoint_id, tenant_id
), queued as (
  insert into webhooks.queue (delivery_id, endpoint_id) select delivery_id, endpoint_id from made
), counted as (
  insert into webhooks.endpoint_created as c (endpoint_id, tenant_id, deliveries)
  select endpoint_id, tenant_id, count(*) from made group by endpoint_id, tenant_id order by endpoint_id
  on conflict (endpoint_id) do update set deliveries = c.deliveries + excluded.deliveries
)
select count(*), max(pg_notify('mainstem_deliver', '')::text) from made
