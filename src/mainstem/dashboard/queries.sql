-- What the dashboard reads: figures that are kept as they change, the ledger, and the newest raw rows; never a count of rows
-- that grow with the traffic.

-- name: overview
-- Deliveries, endpoints and events of tenant $1, in one row.
select coalesce(sum(c.deliveries), 0)::bigint as total_deliveries,
       greatest(coalesce(sum(c.deliveries - coalesce(t.delivered, 0) - coalesce(t.failed, 0)), 0), 0)::bigint
         as pending_deliveries,
       coalesce(sum(t.delivered), 0)::bigint as successful_deliveries,
       coalesce(sum(t.failed), 0)::bigint as failed_deliveries,
       count(*) filter (where e.active) as active_webhooks,
       count(*) filter (where e.active and t.health in ('degraded', 'failing')) as degraded_webhooks,
       count(*) filter (where not e.active) as disabled_webhooks,
       coalesce(max(p.loaded), 0) as events_loaded,
       coalesce(max(p.rejected), 0) as events_rejected,
       coalesce(max(p.duplicates), 0) as events_duplicate
from (select $1::integer as tenant_id) x
left join business.pipeline_total p on p.tenant_id = x.tenant_id
left join webhooks.endpoint e on e.tenant_id = x.tenant_id and e.deleted_at is null
left join webhooks.endpoint_created c on c.endpoint_id = e.endpoint_id
left join webhooks.endpoint_total t on t.endpoint_id = e.endpoint_id

-- name: webhooks
-- The $2 endpoints of tenant $1 that need a look most: those that fail, then those that are slow or waited for longest.
select e.endpoint_id as id, e.name, e.active,
       case when e.active then coalesce(t.health, 'unknown') else 'disabled' end as health_status,
       coalesce(c.deliveries, 0) as total_deliveries, coalesce(t.delivered, 0) as successful_deliveries,
       coalesce(t.failed, 0) as failed_deliveries,
       greatest(coalesce(c.deliveries, 0) - coalesce(t.delivered, 0) - coalesce(t.failed, 0), 0) as pending_deliveries,
       coalesce(t.attempts, 0) as attempts, coalesce(t.ms_sum, 0) as ms_sum,
       coalesce(t.consecutive_failures, 0) as consecutive_failures,
       t.last_attempt_at as last_delivery_at, t.health_since
from webhooks.endpoint e
left join webhooks.endpoint_created c on c.endpoint_id = e.endpoint_id
left join webhooks.endpoint_total t on t.endpoint_id = e.endpoint_id
where e.tenant_id = $1 and e.deleted_at is null
order by case when not e.active then 3
              else array_position(array['failing', 'degraded', 'unknown', 'healthy'], coalesce(t.health, 'unknown')) - 1 end,
         pending_deliveries desc, e.endpoint_id
limit $2

-- name: hours
-- Attempts of each endpoint of tenant $1 by hour, from $2 until before $3, hours without any left out.
select m.endpoint_id, e.name, date_bin('1 hour', m.minute, $2) as hour,
       sum(m.delivered + m.failed)::bigint as attempts, sum(m.failed)::bigint as failed
from webhooks.endpoint_minute m
join webhooks.endpoint e on e.endpoint_id = m.endpoint_id and e.deleted_at is null
where m.tenant_id = $1 and m.minute >= $2 and m.minute < $3
group by 1, 2, 3
order by 1, 3

-- name: health
-- Endpoints of all tenants and what waits for them.
select count(*) filter (where e.active) as active,
       count(*) filter (where e.active and t.health in ('degraded', 'failing')) as degraded,
       greatest(coalesce(sum(c.deliveries - coalesce(t.delivered, 0) - coalesce(t.failed, 0)), 0), 0)::bigint as pending
from webhooks.endpoint e
left join webhooks.endpoint_created c on c.endpoint_id = e.endpoint_id
left join webhooks.endpoint_total t on t.endpoint_id = e.endpoint_id
where e.deleted_at is null

-- name: owners
-- Whose those of the loaded batches $1 are that belong to tenants $2, and how many of their events were new.
select b.tenant_id, b.batch_id, b.loaded
from raw.batch b
where b.batch_id = any ($1::bigint[]) and b.tenant_id = any ($2::integer[]) and b.loaded > 0
order by b.batch_id

-- name: recent_batches
-- The $2 newest batches of tenant $1 from which something was loaded.
select b.batch_id
from raw.batch b
where b.tenant_id = $1 and b.loaded > 0
order by b.committed_at desc, b.batch_id desc
limit $2

-- name: newest_events
-- The newest $3 events of batches $2 of tenant $1, oldest first, that passed the gate. Of each batch only as many rows are read as
-- may be needed, and data longer than $4 bytes is left out.
select n.event_uid, n.kind, n.occurred_at, n.received_at, n.source, n.message_id, n.subject, n.data
from (
  select e.raw_id, e.event_uid, e.kind, e.occurred_at, e.received_at, e.source, e.message_id, e.subject,
         case when octet_length(e.data::text) <= $4 then e.data::text end as data
  from (
    select r.batch_id, r.events, r.received_from, r.received_to, least(r.events - r.loaded, 1000) as others,
           sum(r.loaded) over (order by r.committed_at desc, r.batch_id desc) - r.loaded as newer
    from raw.batch r
    where r.tenant_id = $1 and r.batch_id = any ($2::bigint[]) and r.loaded > 0
  ) b
  cross join lateral (
    select d.*
    from raw.event d
    where d.received_at between b.received_from and b.received_to
      and d.raw_id >= b.batch_id + greatest(0, b.events - ($3::integer - b.newer) - b.others)
      and d.raw_id < b.batch_id + b.events
    offset 0
  ) e
  join vault.event_seen s on s.tenant_id = $1 and s.event_uid = e.event_uid and s.raw_id = e.raw_id
  where b.newer < $3::integer
  order by e.received_at desc, e.raw_id desc
  limit $3::integer
) n
order by n.received_at, n.raw_id
