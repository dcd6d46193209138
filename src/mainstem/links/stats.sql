-- Statistics of links, from what the load keeps. $2 is a link's key, or the zero key for all links of the tenant.

-- name: quarters
-- Clicks and first visits by the quarter of an hour.
select at, sum(clicks)::bigint as clicks, sum(visitors)::bigint as visitors
from business.link_time
where tenant_id = $1 and tracked_link_hk = any ($2::bytea[]) and at >= $3 and at < $4 and is_bot = any ($5::boolean[])
group by at
order by at

-- name: top
-- The values of a dimension with most clicks.
select value, sum(clicks)::bigint as clicks
from business.link_day
where tenant_id = $1 and tracked_link_hk = any ($2::bytea[]) and dimension = $3 and day between $4 and $5
  and is_bot = any ($6::boolean[])
group by value
order by clicks desc, value
limit $7

-- name: tracking_ids
-- The links of a campaign, tag or host.
select tracking_id from links.tracked_link
where tenant_id = $1 and ($2::integer is null or campaign_id = $2) and ($3::text is null or tags @> array[$3::text])
  and ($4::text is null or host = $4)
order by link_id desc
limit $5

-- name: top_links
-- The links with most clicks on the UTC days $2 to $3, of the five hundred most clicked ones and the five hundred clicked last.
-- The device of a click is always known, so the clicks of a day are the sum over its devices.
with asked as (
  (select t.tracked_link_hk, t.tracking_id from business.link_total t where t.tenant_id = $1 order by t.clicks desc limit 500)
  union
  (select t.tracked_link_hk, t.tracking_id from business.link_total t where t.tenant_id = $1 order by t.last_at desc limit 500)
), counted as (
  select a.tracking_id, d.clicks
  from asked a
  cross join lateral (
    select sum(d.clicks)::bigint as clicks
    from business.link_day d
    where d.tenant_id = $1 and d.tracked_link_hk = a.tracked_link_hk and d.dimension = 'device' and d.day between $2 and $3
      and d.is_bot = any ($4::boolean[])) d
  where d.clicks > 0
  order by d.clicks desc, a.tracking_id
  limit $5
)
select c.tracking_id, l.link_id, l.host, l.slug, l.title, c.clicks
from counted c
left join links.tracked_link l on l.tenant_id = $1 and l.tracking_id = c.tracking_id
order by c.clicks desc, c.tracking_id

-- name: clicks
-- Clicks of a link, newest first, before ($3, $4).
select event_uid as id, occurred_at as clicked_at, click_source, referrer_url, target_url, device, os, browser, is_bot,
       bot_reason, country, city, language, rule, variant, session_id
from vault.nhl_click
where tenant_id = $1 and tracking_id = $2 and ($3::timestamptz is null or (occurred_at, event_uid) < ($3, $4::uuid))
order by occurred_at desc, event_uid desc
limit $5

-- name: missed
-- Visits that met no link, by path.
select host, path, sum(visits) filter (where not is_bot)::bigint as visits, sum(visits) filter (where is_bot)::bigint as bot_visits,
       max(last_at) as last_at
from business.missed_day
where tenant_id = $1 and day between $2 and $3
group by host, path
order by sum(visits) filter (where not is_bot) desc nulls last, max(last_at) desc
limit $4
