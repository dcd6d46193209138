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
-- The links with most clicks in a span of time, by the key; those of the zero key are all.
select h.tracking_id, l.link_id, l.host, l.slug, l.title, t.clicks, t.visitors
from (
  select tracked_link_hk, sum(clicks)::bigint as clicks, sum(visitors)::bigint as visitors
  from business.link_time
  where tenant_id = $1 and at >= $2 and at < $3 and is_bot = any ($4::boolean[]) and tracked_link_hk <> $5
  group by 1
  order by 2 desc
  limit $6) t
join vault.hub_tracked_link h on h.tenant_id = $1 and h.tracked_link_hk = t.tracked_link_hk
left join links.tracked_link l on l.tenant_id = $1 and l.tracking_id = h.tracking_id
order by t.clicks desc, h.tracking_id

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
