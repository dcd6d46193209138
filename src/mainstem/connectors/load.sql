-- What the business layer makes of one load of bookings: run by the loader after the vault, in the same transaction. The
-- lane is locked: no other load touches the same tenant meanwhile.

-- name: days
-- Takes each booking from where it was counted to where it belongs now, unless a newer reading of it was counted before.
with told as materialized (
  select distinct on (s.booking_hk, s.tenant_id)
         s.tenant_id, s.booking_hk, s.connector, s.site_id, s.version, s.takes_place_on as day,
         case when s.cancelled then 'CANCELLED' else coalesce(s.status, '') end as status,
         coalesce(s.guests, 0) as guests, coalesce(s.total, 0)::numeric(18, 2) as revenue
  from stage_connector s
  where s.tells_booking
  order by s.booking_hk, s.tenant_id, s.version desc, s.raw_id desc
), changed as materialized (
  select t.*, c.day as old_day, c.status as old_status, c.guests as old_guests, c.revenue as old_revenue
  from told t
  left join lateral (
    select k.version, k.day, k.status, k.guests, k.revenue from business.booking_counted k
    where k.tenant_id = t.tenant_id and k.booking_hk = t.booking_hk
    offset 0) c on true
  where c.version is null or t.version >= c.version
), written as (
  insert into business.booking_counted (tenant_id, booking_hk, version, day, status, guests, revenue)
  select c.tenant_id, c.booking_hk, c.version, c.day, c.status, c.guests, c.revenue
  from changed c
  order by 2, 1
  on conflict (tenant_id, booking_hk) do update set
    version = excluded.version, day = excluded.day, status = excluded.status, guests = excluded.guests,
    revenue = excluded.revenue
), moved as (
  select c.tenant_id, c.connector, c.site_id, c.day, c.status, 1 as bookings, c.guests, c.revenue from changed c
  union all
  select c.tenant_id, c.connector, c.site_id, c.old_day, c.old_status, -1, -c.old_guests, -c.old_revenue from changed c
)
insert into business.booking_day as d (tenant_id, connector, site_id, day, status, bookings, guests, revenue)
select m.tenant_id, m.connector, m.site_id, m.day, m.status, sum(m.bookings), sum(m.guests), sum(m.revenue)
from moved m
where m.day is not null
group by 1, 2, 3, 4, 5
having sum(m.bookings) <> 0 or sum(m.guests) <> 0 or sum(m.revenue) <> 0
order by 1, 2, 3, 4, 5
on conflict (tenant_id, connector, site_id, day, status) do update set
  bookings = d.bookings + excluded.bookings, guests = d.guests + excluded.guests, revenue = d.revenue + excluded.revenue;

-- name: emptied
-- Days that no booking is left of: a history that never went by them has none of them either.
delete from business.booking_day d where d.bookings = 0;
