-- Tracked links, their domains, campaigns and tags. Clicks are facts of the vault; nothing here grows with them.

create schema links;
comment on schema links is 'Tracked links, the domains they live on, campaigns and tags.';
grant usage on schema links to mainstem_api, mainstem_worker;

create table links.domain (
  domain_id    integer generated always as identity primary key,
  tenant_id    integer not null references platform.tenant,
  host         text not null constraint domain_host_key unique
               constraint domain_host_check check (host = lower(host) and host ~ '^[^\s/@]{1,253}$'),
  root_url     text,
  missing_url  text,
  expired_url  text,
  created_at   timestamptz not null default now(),
  updated_at   timestamptz not null default now()
);
comment on table links.domain is 'Hosts of a tenant''s own for its links. Every other host shows the links with an empty host.';
comment on column links.domain.host is 'As in the Host header, in lower case, with the port where it is an unusual one.';
comment on column links.domain.root_url is 'Where a visit of the bare host goes; null: not found.';
comment on column links.domain.missing_url is 'Where a visit of an unknown slug goes; null: not found.';
comment on column links.domain.expired_url is 'Where a visit of an expired link goes that names no place of its own; null: gone.';
create index domain_tenant_idx on links.domain (tenant_id, domain_id);

create table links.campaign (
  campaign_id  integer generated always as identity primary key,
  tenant_id    integer not null references platform.tenant,
  name         text not null constraint campaign_name_check check (length(name) between 1 and 200),
  utm_source   text,
  utm_medium   text,
  utm_campaign text,
  utm_term     text,
  utm_content  text,
  archived_at  timestamptz,
  created_at   timestamptz not null default now(),
  updated_at   timestamptz not null default now(),
  constraint campaign_tenant_key unique (tenant_id, campaign_id)
);
comment on table links.campaign is 'Templates of utm_* parameters: what the links of a campaign add to their targets.';
create unique index campaign_name_key on links.campaign (tenant_id, lower(name));

create table links.tracked_link (
  link_id       bigint generated always as identity primary key,
  tenant_id     integer not null references platform.tenant,
  host          text not null default '',
  slug          text not null constraint tracked_link_slug_check check (
                  length(slug) between 1 and 100 and slug !~ '[\s?#\\]|^/|/$|//|\+$'),
  tracking_id   text not null constraint tracked_link_tracking_check check (length(tracking_id) between 1 and 100),
  target_url    text not null constraint tracked_link_target_check check (length(target_url) between 1 and 4096),
  title         text,
  description   text,
  tags          text[] not null default '{}',
  campaign_id   integer,
  utm_source    text,
  utm_medium    text,
  utm_campaign  text,
  utm_term      text,
  utm_content   text,
  link_function text,
  link_type     text,
  job_id        text,
  application_id text,
  valid_since   timestamptz,
  expires_at    timestamptz,
  expired_url   text,
  click_limit   bigint constraint tracked_link_limit_check check (click_limit > 0),
  limit_url     text,
  password_hash text,
  forward_query boolean not null default true,
  append_click  boolean not null default false,
  rules         jsonb not null default '[]' constraint tracked_link_rules_check check (jsonb_typeof(rules) = 'array'),
  variants      jsonb not null default '[]' constraint tracked_link_variants_check check (jsonb_typeof(variants) = 'array'),
  active        boolean not null default true,
  archived_at   timestamptz,
  created_by    text not null default '',
  created_at    timestamptz not null default now(),
  updated_at    timestamptz not null default now(),
  constraint tracked_link_slug_key unique (host, slug),
  constraint tracked_link_tracking_key unique (tenant_id, tracking_id),
  constraint tracked_link_campaign_fk foreign key (tenant_id, campaign_id) references links.campaign (tenant_id, campaign_id),
  constraint tracked_link_times_check check (valid_since < expires_at)
) with (fillfactor = 90);
comment on table links.tracked_link is 'Short addresses and where they lead. One row per (host, slug), whoever owns it.';
comment on column links.tracked_link.host is 'Host of links.domain; empty: the address of the hub itself, which all tenants share.';
comment on column links.tracked_link.slug is 'The path after the host''s slash, case-sensitive.';
comment on column links.tracked_link.tracking_id is 'Name of the link in clicks, unique within the tenant; the slug unless it was given.';
comment on column links.tracked_link.campaign_id is 'Its template of utm_*; a utm_* of the link itself wins.';
comment on column links.tracked_link.click_limit is 'Clicks after which visits go to limit_url; those of bots don''t count.';
comment on column links.tracked_link.forward_query is 'Whether the query of a visit is added to the target; its parameters win.';
comment on column links.tracked_link.append_click is 'Whether ms_click=<id of the click> is added to the target.';
comment on column links.tracked_link.rules is
  'In order: [{"target_url", "conditions": [{"type", "key"?, "value"?}]}]. The first whose conditions all hold decides.';
comment on column links.tracked_link.variants is 'A/B test: [{"target_url", "weight"}]; a visitor always meets the same.';
comment on column links.tracked_link.active is 'False: visits are answered 410.';
comment on column links.tracked_link.archived_at is 'Archived links still redirect; lists leave them out.';
-- what lists search by: the beginning of a slug, words of title and description
create index tracked_link_prefix_idx on links.tracked_link (tenant_id, lower(slug) text_pattern_ops);
create index tracked_link_words_idx on links.tracked_link
  using gin (to_tsvector('simple', coalesce(title, '') || ' ' || coalesce(description, '')))
  where title is not null or description is not null;
create index tracked_link_newest_idx on links.tracked_link (tenant_id, link_id desc);
create index tracked_link_tags_idx on links.tracked_link using gin (tags) where tags <> '{}';
create index tracked_link_campaign_idx on links.tracked_link (tenant_id, campaign_id, link_id desc) where campaign_id is not null;

create table links.tag (
  tenant_id integer not null,
  name      text not null,
  links     bigint not null,
  primary key (tenant_id, name)
);
comment on table links.tag is 'Tags and how many links have them, kept by triggers.';

create table links.click_budget (
  link_id   bigint primary key references links.tracked_link on delete cascade,
  tenant_id integer not null,
  used      bigint not null
) with (fillfactor = 50);
comment on table links.click_budget is 'Clicks used up of links with a limit; counted before the visitor goes on.';

grant select, insert, update, delete on links.domain, links.campaign, links.tracked_link, links.tag, links.click_budget
  to mainstem_api, mainstem_worker;
select platform.protect(t) from unnest(array[
  'links.domain', 'links.campaign', 'links.tracked_link', 'links.tag', 'links.click_budget']::regclass[]) t;

-- Takes clicks of links with a limit, as many as are left; one row a link, in the order of their ids, so that two
-- processes can't deadlock. `available` is what was left before.
create function links.spend(p_links bigint[], p_limits bigint[], p_clicks bigint[])
returns table (link_id bigint, granted bigint, available bigint)
language plpgsql
as $$
#variable_conflict use_column
declare
  asked  record;
  v_used bigint;
begin
  for asked in
    select a.link_id, a.most, a.clicks from unnest(p_links, p_limits, p_clicks) as a (link_id, most, clicks)
    order by a.link_id
  loop
    -- a link that was deleted meanwhile has no budget any more
    insert into links.click_budget (link_id, tenant_id, used)
    select l.link_id, l.tenant_id, 0 from links.tracked_link l where l.link_id = asked.link_id
    on conflict (link_id) do nothing;
    select b.used into v_used from links.click_budget b where b.link_id = asked.link_id for update;
    link_id := asked.link_id;
    available := case when found then greatest(asked.most - v_used, 0) else 0 end;
    granted := least(asked.clicks, available);
    update links.click_budget b set used = b.used + granted where b.link_id = asked.link_id and granted > 0;
    return next;
  end loop;
end $$;
comment on function links.spend(bigint[], bigint[], bigint[]) is
  'Takes clicks of links with a limit; returns how many of those asked for were left.';
revoke execute on function links.spend(bigint[], bigint[], bigint[]) from public;
grant execute on function links.spend(bigint[], bigint[], bigint[]) to mainstem_worker;

-- Tells every serving process which links changed: one `host/slug` a line (the shared address has an empty host);
-- `*` means all of them. A line break can't be in a slug.
create function links.tell(p_links text[]) returns void
language plpgsql
as $$
declare
  v_text text := array_to_string(p_links, E'\n');
begin
  if p_links is null then
    return;
  elsif octet_length(v_text) < 7900 then
    perform pg_notify('mainstem_links', v_text);
  elsif cardinality(p_links) > 2000 then
    perform pg_notify('mainstem_links', '*');
  else
    perform links.tell(p_links[: cardinality(p_links) / 2]);
    perform links.tell(p_links[cardinality(p_links) / 2 + 1 :]);
  end if;
end $$;

create function links.count_tags(p_tenants integer[], p_names text[], p_changes bigint[]) returns void
language sql
as $$
  with change as (
    select c.tenant_id, c.name, sum(c.change) as change
    from unnest(p_tenants, p_names, p_changes) as c (tenant_id, name, change)
    group by 1, 2
    having sum(c.change) <> 0
  ), written as (
    insert into links.tag as t (tenant_id, name, links)
    select c.tenant_id, c.name, c.change from change c order by 1, 2
    on conflict (tenant_id, name) do update set links = t.links + excluded.links
  )
  select
$$;

create function links.on_insert() returns trigger
language plpgsql
as $$
begin
  perform links.count_tags(array_agg(n.tenant_id), array_agg(t.name), array_agg(1::bigint))
  from new_links n cross join lateral unnest(n.tags) as t (name);
  perform links.tell(array_agg(n.host || '/' || n.slug)) from new_links n;
  return null;
end $$;

create function links.on_update() returns trigger
language plpgsql
as $$
begin
  perform links.count_tags(array_agg(c.tenant_id), array_agg(c.name), array_agg(c.change))
  from (select n.tenant_id, t.name, 1::bigint as change from new_links n cross join lateral unnest(n.tags) as t (name)
        union all
        select o.tenant_id, t.name, -1 from old_links o cross join lateral unnest(o.tags) as t (name)) c;
  perform links.tell(array_agg(distinct c.place))
  from (select n.host || '/' || n.slug as place from new_links n
        union all
        select o.host || '/' || o.slug from old_links o) c;
  return null;
end $$;

create function links.on_delete() returns trigger
language plpgsql
as $$
begin
  perform links.count_tags(array_agg(o.tenant_id), array_agg(t.name), array_agg(-1::bigint))
  from old_links o cross join lateral unnest(o.tags) as t (name);
  perform links.tell(array_agg(o.host || '/' || o.slug)) from old_links o;
  return null;
end $$;

create trigger tracked_link_insert after insert on links.tracked_link
  referencing new table as new_links for each statement execute function links.on_insert();
create trigger tracked_link_update after update on links.tracked_link
  referencing old table as old_links new table as new_links for each statement execute function links.on_update();
create trigger tracked_link_delete after delete on links.tracked_link
  referencing old table as old_links for each statement execute function links.on_delete();

-- Whatever a domain or a campaign says is part of many cached links.
create function links.tell_all() returns trigger
language plpgsql
as $$
begin
  perform pg_notify('mainstem_links', '*');
  return null;
end $$;

create trigger domain_change after insert or update or delete on links.domain
  for each statement execute function links.tell_all();
create trigger campaign_change after update on links.campaign
  for each statement execute function links.tell_all();
