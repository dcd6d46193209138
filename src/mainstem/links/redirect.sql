-- What the redirect asks, as the owner: a visit names no tenant.

-- name: find
-- The links at (host, slug) pairs, numbered from 1 in the order of the arrays; absent ones have no row.
select p.n::integer as n, l.tenant_id, l.link_id, l.host, l.slug, l.tracking_id, l.target_url, l.title, l.created_at, l.active,
       l.valid_since, l.expires_at, l.expired_url, l.click_limit, l.limit_url, l.password_hash, l.forward_query,
       l.append_click, l.rules, l.variants, l.campaign_id,
       l.utm_source, l.utm_medium, l.utm_campaign, l.utm_term, l.utm_content
from unnest($1::text[], $2::text[]) with ordinality as p (host, slug, n)
cross join lateral (
  select t.* from links.tracked_link t where t.host = p.host and t.slug = p.slug offset 0) l

-- name: campaigns
-- The utm_* of campaigns.
select campaign_id, utm_source, utm_medium, utm_campaign, utm_term, utm_content
from links.campaign where campaign_id = any ($1::integer[])

-- name: domains
select host, tenant_id, root_url, missing_url, expired_url from links.domain

-- name: default_tenant
select tenant_id from platform.tenant where slug = $1

-- name: by_tracking_id
-- Where links with (tenant, tracking id) pairs are, numbered from 1 in the order of the arrays; absent ones have no row.
select p.n::integer as n, l.host, l.slug
from unnest($1::integer[], $2::text[]) with ordinality as p (tenant_id, tracking_id, n)
cross join lateral (
  select t.host, t.slug from links.tracked_link t
  where t.tenant_id = p.tenant_id and t.tracking_id = p.tracking_id offset 0) l

-- name: spend
-- How many of the clicks asked for the limits leave, and how many they left before.
select link_id, granted, available from links.spend($1::bigint[], $2::bigint[], $3::bigint[])
