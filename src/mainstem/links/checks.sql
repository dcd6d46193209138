-- Spot checks of the statistics against the facts, for the time since $1 (null: all of it).

-- name: times
-- Quarters of an hour whose clicks, of one link or of all, differ from those of the facts.
with clicked as (
  select f.tenant_id, f.tracked_link_hk, date_bin('15 minutes', f.occurred_at, 'epoch') as at, f.is_bot, count(*) as clicks
  from vault.nhl_click f
  where $1::timestamptz is null
     or (f.received_at >= $1 - interval '1 day' and f.occurred_at >= date_bin('15 minutes', $1 + interval '15 minutes', 'epoch'))
  group by 1, 2, 3, 4
), fact as (
  select * from clicked
  union all
  select tenant_id, decode(repeat('00', 32), 'hex'), at, is_bot, sum(clicks) from clicked group by 1, 3, 4
), kept as (
  select tenant_id, tracked_link_hk, at, is_bot, clicks from business.link_time
  where ($1::timestamptz is null or at >= date_bin('15 minutes', $1 + interval '15 minutes', 'epoch')) and clicks <> 0
)
select count(*) as checked, count(*) filter (where k.clicks is distinct from f.clicks) as violations
from fact f full join kept k using (tenant_id, tracked_link_hk, at, is_bot)

-- name: times_examples
with clicked as (
  select f.tenant_id, f.tracked_link_hk, date_bin('15 minutes', f.occurred_at, 'epoch') as at, f.is_bot, count(*) as clicks
  from vault.nhl_click f
  where $1::timestamptz is null
     or (f.received_at >= $1 - interval '1 day' and f.occurred_at >= date_bin('15 minutes', $1 + interval '15 minutes', 'epoch'))
  group by 1, 2, 3, 4
), fact as (
  select * from clicked
  union all
  select tenant_id, decode(repeat('00', 32), 'hex'), at, is_bot, sum(clicks) from clicked group by 1, 3, 4
), kept as (
  select tenant_id, tracked_link_hk, at, is_bot, clicks from business.link_time
  where ($1::timestamptz is null or at >= date_bin('15 minutes', $1 + interval '15 minutes', 'epoch')) and clicks <> 0
)
select format('tenant %s, link %s, %s, %s: %s clicks, by the facts %s', tenant_id, encode(tracked_link_hk, 'hex'), at,
              case when is_bot then 'bots' else 'people' end, coalesce(k.clicks, 0), coalesce(f.clicks, 0)) as example
from fact f full join kept k using (tenant_id, tracked_link_hk, at, is_bot)
where k.clicks is distinct from f.clicks
order by tenant_id, tracked_link_hk, at, is_bot
limit 5
