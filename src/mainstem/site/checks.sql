-- Spot checks of the roll-ups against the facts, for the hours since $1 (null: all of them).

-- name: hours
-- Hours whose events or page views differ from those of the facts. An event is received some minutes before or any
-- time after it occurred, so facts received long before $1 need no look.
with fact as (
  select f.tenant_id, date_trunc('hour', f.occurred_at, 'UTC') as hour, f.is_bot, count(*) as events,
         count(*) filter (where f.kind = 'page.viewed') as page_views
  from vault.nhl_site_event f
  where $1::timestamptz is null or (f.received_at >= $1 - interval '1 day' and f.occurred_at >= $1)
  group by 1, 2, 3
), kept as (
  select tenant_id, hour, is_bot, events, page_views from business.site_hour
  where ($1::timestamptz is null or hour >= $1) and (events, page_views) <> (0, 0)
)
select count(*) as checked,
       count(*) filter (where (k.events, k.page_views) is distinct from (f.events, f.page_views)) as violations
from fact f full join kept k using (tenant_id, hour, is_bot)

-- name: hours_examples
with fact as (
  select f.tenant_id, date_trunc('hour', f.occurred_at, 'UTC') as hour, f.is_bot, count(*) as events,
         count(*) filter (where f.kind = 'page.viewed') as page_views
  from vault.nhl_site_event f
  where $1::timestamptz is null or (f.received_at >= $1 - interval '1 day' and f.occurred_at >= $1)
  group by 1, 2, 3
), kept as (
  select tenant_id, hour, is_bot, events, page_views from business.site_hour
  where ($1::timestamptz is null or hour >= $1) and (events, page_views) <> (0, 0)
)
select format('tenant %s, %s, %s: %s events and %s page views, by the facts %s and %s', tenant_id, hour,
              case when is_bot then 'bots' else 'people' end, coalesce(k.events, 0), coalesce(k.page_views, 0),
              coalesce(f.events, 0), coalesce(f.page_views, 0)) as example
from fact f full join kept k using (tenant_id, hour, is_bot)
where (k.events, k.page_views) is distinct from (f.events, f.page_views)
order by tenant_id, hour, is_bot
limit 5
