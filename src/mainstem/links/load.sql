-- What the business layer makes of the digest of one load of clicks (mainstem/links/digest.py): run by the loader after the
-- vault, in the same transaction. The lane is locked: no other load touches the same tenant meanwhile.

-- name: times
-- Clicks by the quarter of an hour.
insert into business.link_time as t (tenant_id, tracked_link_hk, at, is_bot, clicks)
select n.tenant_id, n.tracked_link_hk, to_timestamp(n.quarter * 900), n.is_bot, n.clicks
from click_time n
order by 1, 2, 3, 4
on conflict (tenant_id, tracked_link_hk, at, is_bot) do update set clicks = t.clicks + excluded.clicks;

-- name: visitors
-- Who clicked what on which day, and the first clicks of the day by the quarter.
with seen as materialized (
  select * from click_visitor
), changed as materialized (
  select s.*, d.first_at as known_at
  from seen s
  left join lateral (
    select v.first_at from business.link_visitor_day v
    where v.tenant_id = s.tenant_id and v.tracked_link_hk = s.tracked_link_hk and v.day = s.day
      and v.visitor_hk = s.visitor_hk and v.is_bot = s.is_bot
    offset 0) d on true
  where d.first_at is null or s.first_at < d.first_at
), written as (
  insert into business.link_visitor_day (tenant_id, tracked_link_hk, day, visitor_hk, is_bot, first_at)
  select c.tenant_id, c.tracked_link_hk, c.day, c.visitor_hk, c.is_bot, c.first_at
  from changed c
  order by 1, 2, 3, 4, 5
  on conflict (tenant_id, tracked_link_hk, day, visitor_hk, is_bot) do update set first_at = excluded.first_at
), counted as (
  select c.tenant_id, c.tracked_link_hk, date_bin('15 minutes', c.first_at, 'epoch') as at, c.is_bot, count(*) as visitors
  from changed c
  group by 1, 2, 3, 4
  union all
  -- an earlier click of the same day was found: the visitor came in that quarter and not in this one
  select c.tenant_id, c.tracked_link_hk, date_bin('15 minutes', c.known_at, 'epoch'), c.is_bot, -count(*)
  from changed c
  where c.known_at is not null
  group by 1, 2, 3, 4
)
insert into business.link_time as t (tenant_id, tracked_link_hk, at, is_bot, visitors)
select c.tenant_id, c.tracked_link_hk, c.at, c.is_bot, sum(c.visitors)
from counted c
group by 1, 2, 3, 4
order by 1, 2, 3, 4
on conflict (tenant_id, tracked_link_hk, at, is_bot) do update set visitors = t.visitors + excluded.visitors;

-- name: dimensions
-- Clicks per day and value of each dimension.
insert into business.link_day as d (tenant_id, tracked_link_hk, dimension, day, value, is_bot, clicks)
select n.tenant_id, n.tracked_link_hk, n.dimension, n.day, n.value, n.is_bot, n.clicks
from click_value n
order by 1, 2, 3, 4, 5, 6
on conflict (tenant_id, tracked_link_hk, dimension, day, value, is_bot) do update set clicks = d.clicks + excluded.clicks;

-- name: totals
-- Clicks of each link since the beginning.
insert into business.link_total as t (tenant_id, tracked_link_hk, tracking_id, clicks, bot_clicks, first_at, last_at)
select n.tenant_id, n.tracked_link_hk, n.tracking_id, n.clicks, n.bot_clicks, n.first_at, n.last_at
from click_total n
order by 1, 2
on conflict (tenant_id, tracked_link_hk) do update set
  clicks = t.clicks + excluded.clicks, bot_clicks = t.bot_clicks + excluded.bot_clicks,
  first_at = least(t.first_at, excluded.first_at), last_at = greatest(t.last_at, excluded.last_at);
