-- What alert rules ask about deliveries, for all tenants at once.

-- name: failures
-- Attempts by endpoint that is switched on, in the minutes from $1 until before $2: a few rows of each, however long the history.
select e.tenant_id, e.endpoint_id, e.name, m.delivered, m.failed
from webhooks.endpoint e
cross join lateral (
  select sum(m.delivered)::bigint as delivered, sum(m.failed)::bigint as failed
  from webhooks.endpoint_minute m
  where m.endpoint_id = e.endpoint_id and m.minute >= $1 and m.minute < $2) m
where e.active and e.deleted_at is null and m.delivered is not null
order by e.endpoint_id

-- name: waiting
-- By tenant, seconds by which the delivery that should have been sent first is late. By due time: a retry that is planned for
-- later is on time. Two steps over the index for each endpoint, however long the queue.
select e.tenant_id, extract(epoch from greatest($1::timestamptz - min(q.due_at), '0'))::double precision as seconds,
       count(q.due_at) as endpoints
from webhooks.endpoint e
left join lateral (
  select w.due_at from (values (0::smallint), (1::smallint)) lane (n)
  cross join lateral (
    select q.due_at from webhooks.queue q
    where q.endpoint_id = e.endpoint_id and q.lane = lane.n and q.due_at <= $1 order by q.due_at limit 1) w
  order by w.due_at limit 1) q on true
where e.active and e.deleted_at is null
group by e.tenant_id
order by e.tenant_id

-- name: degraded
-- Endpoints by tenant, and those of them that don't do well.
select e.tenant_id, count(*) as endpoints, count(*) filter (where t.health in ('degraded', 'failing')) as degraded
from webhooks.endpoint e
left join webhooks.endpoint_total t on t.endpoint_id = e.endpoint_id
where e.active and e.deleted_at is null
group by e.tenant_id
order by e.tenant_id
