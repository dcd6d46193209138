-- Links, domains, campaigns and tags, for the tenant of the transaction.

-- name: insert
-- Adds the links that are not there yet; those with a slug or tracking id that is taken have no row in the answer.
insert into links.tracked_link (
  tenant_id, host, slug, tracking_id, target_url, title, description, tags, campaign_id, utm_source, utm_medium,
  utm_campaign, utm_term, utm_content, link_function, link_type, job_id, application_id, valid_since, expires_at,
  expired_url, click_limit, limit_url, password_hash, forward_query, append_click, rules, variants, active, created_by)
select $1, r.host, r.slug, r.tracking_id, r.target_url, r.title, r.description, r.tags, r.campaign_id, r.utm_source,
       r.utm_medium, r.utm_campaign, r.utm_term, r.utm_content, r.link_function, r.link_type, r.job_id, r.application_id,
       r.valid_since, r.expires_at, r.expired_url, r.click_limit, r.limit_url, r.password_hash, r.forward_query,
       r.append_click, r.rules, r.variants, r.active, r.created_by
from jsonb_populate_recordset(null::links.tracked_link, $2::jsonb) r
on conflict do nothing
returning link_id, host, slug, tracking_id

-- name: taken_ids
-- Which of these tracking ids the tenant has.
select tracking_id from links.tracked_link where tracking_id = any ($1::text[])

-- name: links
-- Links by id, with their campaign and clicks.
select l.*, c.name as campaign, coalesce(t.clicks, 0) as clicks, coalesce(t.bot_clicks, 0) as bot_clicks,
       t.last_at as last_clicked_at
from links.tracked_link l
left join links.campaign c on c.tenant_id = l.tenant_id and c.campaign_id = l.campaign_id
left join business.link_total t on t.tenant_id = l.tenant_id and t.tracking_id = l.tracking_id
where l.tenant_id = $1 and l.link_id = any ($2::bigint[])
order by l.link_id desc

-- name: lock
-- Links by id, for a change.
select l.*, c.name as campaign from links.tracked_link l
left join links.campaign c on c.tenant_id = l.tenant_id and c.campaign_id = l.campaign_id
where l.tenant_id = $1 and l.link_id = any ($2::bigint[]) order by l.link_id for update of l

-- name: by_place
select link_id, target_url from links.tracked_link where tenant_id = $1 and host = $2 and slug = $3

-- name: by_tracking_id
select link_id from links.tracked_link where tenant_id = $1 and tracking_id = $2

-- name: update
-- Writes a changed link.
update links.tracked_link l
set host = r.host, slug = r.slug, target_url = r.target_url, title = r.title, description = r.description, tags = r.tags,
    campaign_id = r.campaign_id, utm_source = r.utm_source, utm_medium = r.utm_medium, utm_campaign = r.utm_campaign,
    utm_term = r.utm_term, utm_content = r.utm_content, link_function = r.link_function, link_type = r.link_type,
    job_id = r.job_id, application_id = r.application_id, valid_since = r.valid_since, expires_at = r.expires_at,
    expired_url = r.expired_url, click_limit = r.click_limit, limit_url = r.limit_url, password_hash = r.password_hash,
    forward_query = r.forward_query, append_click = r.append_click, rules = r.rules, variants = r.variants,
    active = r.active, archived_at = r.archived_at, updated_at = now()
from jsonb_populate_record(null::links.tracked_link, $3::jsonb) r
where l.tenant_id = $1 and l.link_id = $2

-- name: delete
delete from links.tracked_link where tenant_id = $1 and link_id = any ($2::bigint[])

-- name: newest
-- Ids of a tenant's links, newest first, below the id $2; the null filters are left out.
select l.link_id, l.link_id as place
from links.tracked_link l
where l.tenant_id = $1 and ($2::bigint is null or l.link_id < $2)
  and ($3::text is null or lower(l.slug) like $3
       or to_tsvector('simple', coalesce(l.title, '') || ' ' || coalesce(l.description, ''))
          @@ plainto_tsquery('simple', $4)
       or l.tracking_id = $4)
  and ($5::text is null or l.tags @> array[$5::text])
  and ($6::integer is null or l.campaign_id = $6)
  and ($7::text is null or l.host = $7)
  and ($8::boolean is null or (l.archived_at is not null) = $8)
  and ($9::boolean is null or l.active = $9)
order by l.link_id desc
limit $10

-- name: most_clicked
-- As `newest`, by clicks; links without a click have no place in it.
select l.link_id, t.clicks as place
from business.link_total t
join links.tracked_link l on l.tenant_id = t.tenant_id and l.tracking_id = t.tracking_id
where t.tenant_id = $1 and ($2::bigint is null or (t.clicks, l.link_id) < ($2, $11::bigint))
  and ($3::text is null or lower(l.slug) like $3 or l.tracking_id = $4)
  and ($5::text is null or l.tags @> array[$5::text])
  and ($6::integer is null or l.campaign_id = $6)
  and ($7::text is null or l.host = $7)
  and ($8::boolean is null or (l.archived_at is not null) = $8)
  and ($9::boolean is null or l.active = $9)
order by t.clicks desc, l.link_id desc
limit $10

-- name: most_visited
-- Where a tenant's links are that are clicked most; the newest ones after them.
select p.host, p.slug
from ((select l.host, l.slug, t.clicks, l.link_id
       from business.link_total t
       join links.tracked_link l on l.tenant_id = t.tenant_id and l.tracking_id = t.tracking_id
       where t.tenant_id = $1 and l.active
       order by t.clicks desc, l.link_id desc limit $2)
      union all
      (select l.host, l.slug, 0, l.link_id from links.tracked_link l
       where l.tenant_id = $1 and l.active
       order by l.link_id desc limit $2)) p
group by p.host, p.slug, p.link_id
order by max(p.clicks) desc, p.link_id desc
limit $2

-- name: steps
-- Where own links lead, for the look for loops.
select target_url from links.tracked_link where tenant_id = $1 and host = $2 and slug = $3

-- name: export
-- Links by id upwards, some thousands at a time.
select l.*, c.name as campaign, coalesce(t.clicks, 0) as clicks
from links.tracked_link l
left join links.campaign c on c.tenant_id = l.tenant_id and c.campaign_id = l.campaign_id
left join business.link_total t on t.tenant_id = l.tenant_id and t.tracking_id = l.tracking_id
where l.tenant_id = $1 and l.link_id > $2
order by l.link_id
limit $3

-- name: domains
select domain_id as id, host, root_url, missing_url, expired_url, created_at from links.domain
where tenant_id = $1 order by host

-- name: has_domain
select true from links.domain where tenant_id = $1 and host = $2

-- name: insert_domain
insert into links.domain (tenant_id, host, root_url, missing_url, expired_url) values ($1, $2, $3, $4, $5)
on conflict do nothing
returning domain_id as id, host, root_url, missing_url, expired_url, created_at

-- name: update_domain
update links.domain set root_url = $3, missing_url = $4, expired_url = $5, updated_at = now()
where tenant_id = $1 and domain_id = $2
returning domain_id as id, host, root_url, missing_url, expired_url, created_at

-- name: domain
select domain_id as id, host, root_url, missing_url, expired_url, created_at from links.domain
where tenant_id = $1 and domain_id = $2

-- name: domain_in_use
select true from links.tracked_link where tenant_id = $1 and host = $2 limit 1

-- name: delete_domain
delete from links.domain where tenant_id = $1 and domain_id = $2

-- name: campaigns
select campaign_id as id, name, utm_source, utm_medium, utm_campaign, utm_term, utm_content,
       archived_at is not null as archived, created_at, updated_at
from links.campaign where tenant_id = $1 order by lower(name)

-- name: campaign
select campaign_id as id, name, utm_source, utm_medium, utm_campaign, utm_term, utm_content,
       archived_at is not null as archived, created_at, updated_at
from links.campaign where tenant_id = $1 and campaign_id = $2

-- name: insert_campaign
insert into links.campaign (tenant_id, name, utm_source, utm_medium, utm_campaign, utm_term, utm_content)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict do nothing
returning campaign_id as id, name, utm_source, utm_medium, utm_campaign, utm_term, utm_content,
          archived_at is not null as archived, created_at, updated_at

-- name: update_campaign
update links.campaign
set name = $3, utm_source = $4, utm_medium = $5, utm_campaign = $6, utm_term = $7, utm_content = $8,
    archived_at = case when $9::boolean then coalesce(archived_at, now()) end, updated_at = now()
where tenant_id = $1 and campaign_id = $2
returning campaign_id as id, name, utm_source, utm_medium, utm_campaign, utm_term, utm_content,
          archived_at is not null as archived, created_at, updated_at

-- name: delete_campaign
delete from links.campaign where tenant_id = $1 and campaign_id = $2

-- name: tags
select name, links from links.tag where tenant_id = $1 and links > 0 order by links desc, name

-- name: rename_tag
update links.tracked_link
set tags = array(select distinct case when t = $2 then $3 else t end from unnest(tags) t order by 1), updated_at = now()
where tenant_id = $1 and tags @> array[$2::text]

-- name: remove_tag
update links.tracked_link set tags = array_remove(tags, $2), updated_at = now()
where tenant_id = $1 and tags @> array[$2::text]
