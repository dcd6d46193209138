-- The roll-up of bookings against the vault; all of it every time, for it says what holds now.

-- name: days
-- Days whose figures differ from those of the newest readings in the vault.
with newest as (
  select distinct on (s.tenant_id, s.booking_hk) s.tenant_id, s.booking_hk, s.takes_place_on as day,
         case when s.cancelled then 'CANCELLED' else coalesce(s.status, '') end as status,
         coalesce(s.guests, 0) as guests, coalesce(s.total, 0)::numeric(18, 2) as revenue
  from vault.sat_booking s
  order by s.tenant_id, s.booking_hk, s.version desc, s.load_ts desc, s.raw_id desc
), fact as (
  select n.tenant_id, h.connector, h.site_id, n.day, n.status, count(*) as bookings, sum(n.guests) as guests,
         sum(n.revenue) as revenue
  from newest n
  join vault.hub_booking h on h.tenant_id = n.tenant_id and h.booking_hk = n.booking_hk
  where n.day is not null and n.booking_hk <> decode(repeat('00', 32), 'hex')
  group by 1, 2, 3, 4, 5
)
select count(*) as checked,
       count(*) filter (where (k.bookings, k.guests, k.revenue) is distinct from (f.bookings, f.guests, f.revenue)) as violations
from fact f full join business.booking_day k using (tenant_id, connector, site_id, day, status)

-- name: days_examples
with newest as (
  select distinct on (s.tenant_id, s.booking_hk) s.tenant_id, s.booking_hk, s.takes_place_on as day,
         case when s.cancelled then 'CANCELLED' else coalesce(s.status, '') end as status,
         coalesce(s.guests, 0) as guests, coalesce(s.total, 0)::numeric(18, 2) as revenue
  from vault.sat_booking s
  order by s.tenant_id, s.booking_hk, s.version desc, s.load_ts desc, s.raw_id desc
), fact as (
  select n.tenant_id, h.connector, h.site_id, n.day, n.status, count(*) as bookings, sum(n.guests) as guests,
         sum(n.revenue) as revenue
  from newest n
  join vault.hub_booking h on h.tenant_id = n.tenant_id and h.booking_hk = n.booking_hk
  where n.day is not null and n.booking_hk <> decode(repeat('00', 32), 'hex')
  group by 1, 2, 3, 4, 5
)
select format('tenant %s, %s, site %s, %s, %s: %s bookings, %s guests, %s; by the vault %s, %s, %s',
              tenant_id, connector, site_id, day, status, coalesce(k.bookings, 0), coalesce(k.guests, 0),
              coalesce(k.revenue, 0), coalesce(f.bookings, 0), coalesce(f.guests, 0), coalesce(f.revenue, 0)) as example
from fact f full join business.booking_day k using (tenant_id, connector, site_id, day, status)
where (k.bookings, k.guests, k.revenue) is distinct from (f.bookings, f.guests, f.revenue)
order by tenant_id, connector, site_id, day, status
limit 5
