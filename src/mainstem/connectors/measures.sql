-- What alert rules ask about connectors, for all tenants at once.

-- name: differences
-- What the last whole run of each connector found and nobody has mended, when that run is of the day before $1.
select s.tenant_id, s.connector, r.orders_read,
       (select count(*) from connectors.difference d
        where d.run_id = r.run_id and (d.done is null or split_part(d.done, ':', 1) in ('FAILED', 'PENDING'))) as open
from connectors.schedule s
cross join lateral (
  select r.run_id, r.orders_read, r.finished_at, r.success from connectors.run r
  where r.tenant_id = s.tenant_id and r.connector = s.connector and r.mode <> 'single' and r.finished_at is not null
  order by r.run_id desc limit 1) r
where r.success and r.finished_at > $1::timestamptz - interval '1 day'
order by s.tenant_id, s.connector
