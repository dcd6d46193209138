-- What the business layer makes of the digest of one load (mainstem/site/digest.py), run after load.sql. Arrays by column.

-- name: visitors
-- Who came on which day ($6..$10), and the hourly events, page views ($1..$5) and first visits of the day.
with seen as materialized (
  select * from unnest($6::integer[], $7::boolean[], $8::date[], $9::bytea[], $10::timestamptz[])
    as n (tenant_id, is_bot, day, visitor_hk, first_at)
), changed as materialized (
  select s.*, d.first_at as known_at
  from seen s
  left join lateral (
    select v.first_at from business.visitor_day v
    where v.tenant_id = s.tenant_id and v.day = s.day and v.visitor_hk = s.visitor_hk and v.is_bot = s.is_bot
    offset 0) d on true
  where d.first_at is null or s.first_at < d.first_at
), written as (
  insert into business.visitor_day (tenant_id, day, visitor_hk, is_bot, first_at)
  select c.tenant_id, c.day, c.visitor_hk, c.is_bot, c.first_at
  from changed c
  order by 1, 2, 3, 4
  on conflict (tenant_id, day, visitor_hk, is_bot) do update set first_at = excluded.first_at
), counted as (
  select n.tenant_id, to_timestamp(n.hour * 3600) as hour, n.is_bot, n.events, n.page_views, 0::bigint as visitors
  from unnest($1::integer[], $2::boolean[], $3::bigint[], $4::bigint[], $5::bigint[])
    as n (tenant_id, is_bot, hour, events, page_views)
  union all
  select c.tenant_id, date_trunc('hour', c.first_at, 'UTC'), c.is_bot, 0, 0, count(*)
  from changed c
  group by 1, 2, 3
  union all
  -- an earlier event of the same day was found: the visitor came in that hour and not in this one
  select c.tenant_id, date_trunc('hour', c.known_at, 'UTC'), c.is_bot, 0, 0, -count(*)
  from changed c
  where c.known_at is not null
  group by 1, 2, 3
)
insert into business.site_hour as h (tenant_id, hour, is_bot, events, page_views, visitors)
select c.tenant_id, c.hour, c.is_bot, sum(c.events), sum(c.page_views), sum(c.visitors)
from counted c
group by 1, 2, 3
order by 1, 2, 3
on conflict (tenant_id, hour, is_bot) do update set
  events = h.events + excluded.events, page_views = h.page_views + excluded.page_views,
  visitors = h.visitors + excluded.visitors;

-- name: dimensions
-- Events and page views per day and value of each dimension.
insert into business.site_day as d (tenant_id, dimension, day, value, is_bot, events, page_views)
select n.tenant_id, n.dimension, n.day, n.value, n.is_bot, n.events, n.page_views
from unnest($1::integer[], $2::boolean[], $3::date[], $4::text[], $5::text[], $6::bigint[], $7::bigint[])
  as n (tenant_id, is_bot, day, dimension, value, events, page_views)
order by 1, 2, 3, 4, 5
on conflict (tenant_id, dimension, day, value, is_bot) do update set
  events = d.events + excluded.events, page_views = d.page_views + excluded.page_views;
