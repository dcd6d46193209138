-- Clicks on tracked links: their tables in the vault, as the engine makes them of `mainstem.vault.model`, what is kept of
-- them for statistics, and the relation of the deployment document.

create table "vault"."hub_tracked_link" (
  "tenant_id" int4 not null,
  "tracked_link_hk" bytea not null,
  "tracking_id" text not null,
  "load_ts" timestamptz not null,
  "rsrc" text not null,
  primary key ("tenant_id", "tracked_link_hk")
);
create index "hub_tracked_link_load_idx" on "vault"."hub_tracked_link" using brin ("load_ts") with (autosummarize = on, pages_per_range = 32);
comment on table "vault"."hub_tracked_link" is 'Tracked links by their tracking id: those that were made here, and whatever senders of clicks name.';
comment on column "vault"."hub_tracked_link"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "vault"."hub_tracked_link"."tracked_link_hk" is 'Hash key of the tracked link; 32 zero bytes: none.';
comment on column "vault"."hub_tracked_link"."tracking_id" is 'Name of the tracked link within the tenant.';
comment on column "vault"."hub_tracked_link"."load_ts" is 'Time of the load that brought the row; strictly increasing per lane.';
comment on column "vault"."hub_tracked_link"."rsrc" is 'Where it came from: the source of the event.';

create table "vault"."sat_tracked_link" (
  "tenant_id" int4 not null,
  "tracked_link_hk" bytea not null,
  "load_ts" timestamptz not null,
  "raw_id" int8 not null,
  "hashdiff" bytea not null,
  "rsrc" text not null,
  "host" text,
  "slug" text,
  "target_url" text,
  "link_title" text,
  "description" text,
  "tags" text,
  "campaign" text,
  "link_function" text,
  "link_type" text,
  "job_id" text,
  "application_id" text,
  "active" bool,
  "archived" bool,
  "deleted" bool,
  "valid_since" timestamptz,
  "expires_at" timestamptz,
  "click_limit" int8,
  "changed_by" text,
  primary key ("tenant_id", "tracked_link_hk", "load_ts", "raw_id")
);
create index "sat_tracked_link_load_idx" on "vault"."sat_tracked_link" using brin ("load_ts") with (autosummarize = on, pages_per_range = 32);
comment on table "vault"."sat_tracked_link" is 'What was said of a tracked link over time: where it led, whose it was, whether it was there.';
comment on column "vault"."sat_tracked_link"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "vault"."sat_tracked_link"."tracked_link_hk" is 'Hash key of the tracked link; 32 zero bytes: none.';
comment on column "vault"."sat_tracked_link"."load_ts" is 'Time of the load that brought the row; strictly increasing per lane.';
comment on column "vault"."sat_tracked_link"."raw_id" is 'The raw event that brought the row: raw.event, while its day is kept.';
comment on column "vault"."sat_tracked_link"."hashdiff" is 'Hash of the payload: a new row is stored when it differs from the last.';
comment on column "vault"."sat_tracked_link"."rsrc" is 'Where it came from: the source of the event.';
comment on column "vault"."sat_tracked_link"."host" is 'Host of the link''s domain; null: the address of the hub itself.';
comment on column "vault"."sat_tracked_link"."slug" is 'The path after the host''s slash.';
comment on column "vault"."sat_tracked_link"."target_url" is 'Where the visitor was sent.';
comment on column "vault"."sat_tracked_link"."link_title" is 'Title of the link.';
comment on column "vault"."sat_tracked_link"."description" is 'What the link is for.';
comment on column "vault"."sat_tracked_link"."tags" is 'Tags of the link, sorted, with commas.';
comment on column "vault"."sat_tracked_link"."campaign" is 'Name of the link''s campaign.';
comment on column "vault"."sat_tracked_link"."link_function" is 'What the link does, in the words of the system that made it.';
comment on column "vault"."sat_tracked_link"."link_type" is 'Kind of link, in the words of the system that made it.';
comment on column "vault"."sat_tracked_link"."job_id" is 'Job that the link belongs to, in the words of the system that made it.';
comment on column "vault"."sat_tracked_link"."application_id" is 'Application that the link belongs to, in the words of the system that made it.';
comment on column "vault"."sat_tracked_link"."active" is 'Whether the link redirects.';
comment on column "vault"."sat_tracked_link"."archived" is 'Whether lists leave the link out.';
comment on column "vault"."sat_tracked_link"."deleted" is 'Whether the link was deleted.';
comment on column "vault"."sat_tracked_link"."valid_since" is 'From when on the link redirects; null: at once.';
comment on column "vault"."sat_tracked_link"."expires_at" is 'Until when the link redirects; null: for ever.';
comment on column "vault"."sat_tracked_link"."click_limit" is 'Clicks after which the link leads elsewhere; null: any number.';
comment on column "vault"."sat_tracked_link"."changed_by" is 'Who changed the link: key:<id>, user:<id> or cli.';

create table "vault"."nhl_click" (
  "tenant_id" int4 not null,
  "received_at" timestamptz not null,
  "event_uid" uuid not null,
  "tracked_link_hk" bytea not null,
  "visitor_hk" bytea not null,
  "campaign_hk" bytea not null,
  "occurred_at" timestamptz not null,
  "load_ts" timestamptz not null,
  "raw_id" int8 not null,
  "rsrc" text not null,
  "kind" text not null,
  "flags" int2 not null,
  "tracking_id" text not null,
  "link_id" int8,
  "click_source" text,
  "session_id" text,
  "target_url" text,
  "referrer_url" text,
  "referrer_host" text,
  "channel" text,
  "utm_source" text,
  "utm_medium" text,
  "utm_campaign" text,
  "utm_term" text,
  "utm_content" text,
  "device" text,
  "os" text,
  "browser" text,
  "is_bot" bool,
  "bot_reason" text,
  "ip" text,
  "user_agent" text,
  "country" text,
  "city" text,
  "language" text,
  "rule" int2,
  "variant" int2,
  "metadata" jsonb,
  primary key ("tenant_id", "received_at", "event_uid")
) partition by range ("received_at");
create table "vault"."nhl_click_default" partition of "vault"."nhl_click" default;
create index "nhl_click_1_idx" on "vault"."nhl_click" ("tenant_id", "occurred_at");
create index "nhl_click_2_idx" on "vault"."nhl_click" ("tenant_id", "tracking_id", "occurred_at");
create index "nhl_click_load_idx" on "vault"."nhl_click" using brin ("load_ts") with (autosummarize = on, pages_per_range = 32);
comment on table "vault"."nhl_click" is 'Clicks on tracked links, seen by the redirect or sent in by others.';
comment on column "vault"."nhl_click"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "vault"."nhl_click"."received_at" is 'When the event was accepted.';
comment on column "vault"."nhl_click"."event_uid" is 'Identity of the event: from its message id where the sender gave one.';
comment on column "vault"."nhl_click"."tracked_link_hk" is 'Hash key of the tracked link; 32 zero bytes: none.';
comment on column "vault"."nhl_click"."visitor_hk" is 'Hash key of the visitor; 32 zero bytes: none.';
comment on column "vault"."nhl_click"."campaign_hk" is 'Hash key of the campaign; 32 zero bytes: none.';
comment on column "vault"."nhl_click"."occurred_at" is 'When it happened, as the sender says, within the limits set for clocks.';
comment on column "vault"."nhl_click"."load_ts" is 'Time of the load that brought the row; strictly increasing per lane.';
comment on column "vault"."nhl_click"."raw_id" is 'The raw event that brought the row: raw.event, while its day is kept.';
comment on column "vault"."nhl_click"."rsrc" is 'Where it came from: the source of the event.';
comment on column "vault"."nhl_click"."kind" is 'Kind of the event, in dotted words.';
comment on column "vault"."nhl_click"."flags" is 'Bits about how it came in: 1 time was in the future, 2 clock skew corrected, 4 server''s agent, 8 no time given, 16 sealed personal data.';
comment on column "vault"."nhl_click"."tracking_id" is 'Name of the tracked link within the tenant.';
comment on column "vault"."nhl_click"."link_id" is 'The link in links.tracked_link, as long as it is there; null: never registered.';
comment on column "vault"."nhl_click"."click_source" is 'Where the click was seen: redirect, or what the sender says.';
comment on column "vault"."nhl_click"."session_id" is 'The session that the sender gave; null: none.';
comment on column "vault"."nhl_click"."target_url" is 'Where the visitor was sent.';
comment on column "vault"."nhl_click"."referrer_url" is 'Address of the page before, where the browser tells it.';
comment on column "vault"."nhl_click"."referrer_host" is 'Host of the page before; null: none, or the site itself.';
comment on column "vault"."nhl_click"."channel" is 'How the visitor came: campaign, search, social, referral, internal or direct.';
comment on column "vault"."nhl_click"."utm_source" is 'utm_source of the address: who sent the visitor.';
comment on column "vault"."nhl_click"."utm_medium" is 'utm_medium of the address: by which means.';
comment on column "vault"."nhl_click"."utm_campaign" is 'utm_campaign of the address: for which campaign.';
comment on column "vault"."nhl_click"."utm_term" is 'utm_term of the address: for which search term.';
comment on column "vault"."nhl_click"."utm_content" is 'utm_content of the address: by which variant.';
comment on column "vault"."nhl_click"."device" is 'Kind of device, as read from the user agent: desktop, mobile, tablet, bot, other or unknown.';
comment on column "vault"."nhl_click"."os" is 'Operating system, as read from the user agent.';
comment on column "vault"."nhl_click"."browser" is 'Browser, as read from the user agent.';
comment on column "vault"."nhl_click"."is_bot" is 'Whether it is a program that only looks like a visitor.';
comment on column "vault"."nhl_click"."bot_reason" is 'Why it was judged to be a bot.';
comment on column "vault"."nhl_click"."ip" is 'Address after IP_MODE: truncated, salted, kept or null.';
comment on column "vault"."nhl_click"."user_agent" is 'The visitor''s user agent, as sent.';
comment on column "vault"."nhl_click"."country" is 'Country of the address, ISO 3166-1 alpha-2, where a geo file is configured.';
comment on column "vault"."nhl_click"."city" is 'City of the address, where a geo file is configured.';
comment on column "vault"."nhl_click"."language" is 'Language that the browser prefers.';
comment on column "vault"."nhl_click"."rule" is 'Number of the redirect rule that decided, from 1; null: none.';
comment on column "vault"."nhl_click"."variant" is 'Number of the variant of an A/B test that was shown, from 1; null: none.';
comment on column "vault"."nhl_click"."metadata" is 'What the sender added.';

create table "vault"."sat_customer_click_pii" (
  "tenant_id" int4 not null,
  "customer_hk" bytea not null,
  "fields" text not null,
  "load_ts" timestamptz not null,
  "raw_id" int8 not null,
  "hashdiff" bytea not null,
  "rsrc" text not null,
  "sealed" jsonb,
  primary key ("tenant_id", "customer_hk", "fields", "load_ts", "raw_id")
);
create index "sat_customer_click_pii_load_idx" on "vault"."sat_customer_click_pii" using brin ("load_ts") with (autosummarize = on, pages_per_range = 32);
comment on table "vault"."sat_customer_click_pii" is 'Personal data in clicks over time, sealed: a history for each set of fields that is sent together.';
comment on column "vault"."sat_customer_click_pii"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "vault"."sat_customer_click_pii"."customer_hk" is 'Hash key of the customer; 32 zero bytes: none.';
comment on column "vault"."sat_customer_click_pii"."fields" is 'Names of the personal fields that came together.';
comment on column "vault"."sat_customer_click_pii"."load_ts" is 'Time of the load that brought the row; strictly increasing per lane.';
comment on column "vault"."sat_customer_click_pii"."raw_id" is 'The raw event that brought the row: raw.event, while its day is kept.';
comment on column "vault"."sat_customer_click_pii"."hashdiff" is 'Hash of the payload: a new row is stored when it differs from the last.';
comment on column "vault"."sat_customer_click_pii"."rsrc" is 'Where it came from: the source of the event.';
comment on column "vault"."sat_customer_click_pii"."sealed" is 'The values of these fields, sealed by the person''s own key.';

alter table vault.nhl_click_default enable row level security;
select vault.ensure_partitions(current_date, (current_date + interval '2 months')::date);

grant select, insert, update, delete on vault.hub_tracked_link, vault.sat_tracked_link, vault.nhl_click,
  vault.sat_customer_click_pii to mainstem_worker;
grant select on vault.hub_tracked_link, vault.sat_tracked_link, vault.nhl_click, vault.sat_customer_click_pii to mainstem_api;
select platform.protect(t) from unnest(array[
  'vault.hub_tracked_link', 'vault.sat_tracked_link', 'vault.nhl_click', 'vault.sat_customer_click_pii']::regclass[]) t;

-- tenants that are older than clicks
select vault.make_ghost(c.oid::regclass, t.tenant_id)
from platform.tenant t
cross join unnest(array[
  'vault.hub_tracked_link', 'vault.sat_tracked_link', 'vault.sat_customer_click_pii']::regclass[]) c (oid);

-- statistics, kept by the load (mainstem/links/load.sql). Rows whose tracked_link_hk is the zero key stand for all links of
-- the tenant together.

create table business.link_time (
  tenant_id       integer not null,
  tracked_link_hk bytea not null,
  at              timestamptz not null,
  is_bot          boolean not null,
  clicks          bigint not null default 0,
  visitors        bigint not null default 0,
  primary key (tenant_id, tracked_link_hk, at, is_bot)
) with (fillfactor = 80);
comment on table business.link_time is
  'Clicks by the quarter of an hour in which they occurred: the days of every time zone are sums of them.';
comment on column business.link_time.tenant_id is 'The tenant that the row belongs to: platform.tenant.';
comment on column business.link_time.tracked_link_hk is 'Hash key of the tracked link; 32 zero bytes: all links of the tenant.';
comment on column business.link_time.at is 'Beginning of the quarter.';
comment on column business.link_time.is_bot is 'Whether they are clicks of programs, or of browsers that looked ahead.';
comment on column business.link_time.clicks is 'Clicks that occurred in this quarter.';
comment on column business.link_time.visitors is
  'Visitors whose first click of the UTC day fell into this quarter: over a day, its unique visitors.';

create table business.link_visitor_day (
  tenant_id       integer not null,
  tracked_link_hk bytea not null,
  day             date not null,
  visitor_hk      bytea not null,
  is_bot          boolean not null,
  first_at        timestamptz not null,
  primary key (tenant_id, tracked_link_hk, day, visitor_hk, is_bot)
);
comment on table business.link_visitor_day is 'Who clicked which link on which UTC day, and when first.';
comment on column business.link_visitor_day.tenant_id is 'The tenant that the row belongs to: platform.tenant.';
comment on column business.link_visitor_day.tracked_link_hk is 'Hash key of the tracked link; 32 zero bytes: all links of the tenant.';
comment on column business.link_visitor_day.day is 'The UTC day.';
comment on column business.link_visitor_day.visitor_hk is 'Hash key of the visitor.';
comment on column business.link_visitor_day.is_bot is 'Whether it is a program that only looks like a visitor.';
comment on column business.link_visitor_day.first_at is 'Its first click of the day.';

create table business.link_day (
  tenant_id       integer not null,
  tracked_link_hk bytea not null,
  dimension       text not null constraint link_day_dimension_check check (dimension in (
                    'country', 'city', 'referrer', 'channel', 'device', 'os', 'browser', 'language', 'source', 'variant',
                    'campaign')),
  day             date not null,
  value           text not null,
  is_bot          boolean not null,
  clicks          bigint not null,
  primary key (tenant_id, tracked_link_hk, dimension, day, value, is_bot)
) with (fillfactor = 80);
comment on table business.link_day is 'Clicks per UTC day and value of each dimension; clicks without a value count nowhere.';
comment on column business.link_day.tenant_id is 'The tenant that the row belongs to: platform.tenant.';
comment on column business.link_day.tracked_link_hk is 'Hash key of the tracked link; 32 zero bytes: all links of the tenant.';
comment on column business.link_day.dimension is 'What the value is of.';
comment on column business.link_day.day is 'The UTC day.';
comment on column business.link_day.value is 'The value.';
comment on column business.link_day.is_bot is 'Whether they are clicks of programs.';
comment on column business.link_day.clicks is 'Clicks with this value on this day.';

create table business.link_total (
  tenant_id       integer not null,
  tracked_link_hk bytea not null,
  tracking_id     text not null,
  clicks          bigint not null,
  bot_clicks      bigint not null,
  first_at        timestamptz not null,
  last_at         timestamptz not null,
  primary key (tenant_id, tracked_link_hk)
) with (fillfactor = 80);
create index link_total_clicks_idx on business.link_total (tenant_id, clicks desc);
create index link_total_last_idx on business.link_total (tenant_id, last_at desc);
create unique index link_total_tracking_idx on business.link_total (tenant_id, tracking_id);
comment on table business.link_total is 'Clicks of each tracked link since the beginning.';
comment on column business.link_total.tenant_id is 'The tenant that the row belongs to: platform.tenant.';
comment on column business.link_total.tracked_link_hk is 'Hash key of the tracked link.';
comment on column business.link_total.tracking_id is 'Name of the tracked link within the tenant.';
comment on column business.link_total.clicks is 'Clicks of people.';
comment on column business.link_total.bot_clicks is 'Clicks of programs, and of browsers that looked ahead.';
comment on column business.link_total.first_at is 'When the first click occurred.';
comment on column business.link_total.last_at is 'When the last click occurred.';

create table business.missed_day (
  tenant_id integer not null,
  day       date not null,
  host      text not null,
  path      text not null,
  is_bot    boolean not null,
  visits    bigint not null,
  last_at   timestamptz not null,
  primary key (tenant_id, day, host, path, is_bot)
) with (fillfactor = 80);
comment on table business.missed_day is 'Visits of addresses that are no link, per UTC day.';
comment on column business.missed_day.tenant_id is 'The tenant that the row belongs to: platform.tenant.';
comment on column business.missed_day.day is 'The UTC day.';
comment on column business.missed_day.host is 'Host that was asked; empty: the address of the hub itself.';
comment on column business.missed_day.path is 'Path that was asked for, after the host''s slash.';
comment on column business.missed_day.is_bot is 'Whether they are visits of programs.';
comment on column business.missed_day.visits is 'Visits of that path on that day.';
comment on column business.missed_day.last_at is 'When the last one of them occurred.';

grant select, insert, update, delete on business.link_time, business.link_visitor_day, business.link_day,
  business.link_total, business.missed_day to mainstem_worker;
grant select on business.link_time, business.link_visitor_day, business.link_day, business.link_total, business.missed_day
  to mainstem_api;
select platform.protect(t) from unnest(array[
  'business.link_time', 'business.link_visitor_day', 'business.link_day', 'business.link_total',
  'business.missed_day']::regclass[]) t;

-- the relation of the deployment document: clicks of the acting tenant, as `staging.pipeline_dashboard` chooses it

create view business.link_clicks with (security_invoker = true) as
select c.event_uid as click_id, c.tracking_id, c.occurred_at as clicked_at, c.ip as ip_address, c.user_agent, c.referrer_url,
       c.session_id, c.click_source, c.metadata
from vault.nhl_click c
-- in a subquery: asked for once, so that the index gives a tenant's clicks by time
where c.tenant_id = (select platform.acting_tenant_id());
comment on view business.link_clicks is 'Clicks on tracked links of the acting tenant, for the statements of the tracking-ingest system.';
comment on column business.link_clicks.click_id is 'Identity of the click; ms_click of the address that it led to.';
comment on column business.link_clicks.tracking_id is 'Name of the tracked link within the tenant.';
comment on column business.link_clicks.clicked_at is 'When it happened, as the sender says, within the limits set for clocks.';
comment on column business.link_clicks.ip_address is 'Address after IP_MODE: truncated, salted, kept or null.';
comment on column business.link_clicks.user_agent is 'The visitor''s user agent, as sent.';
comment on column business.link_clicks.referrer_url is 'Address of the page before, where the browser tells it.';
comment on column business.link_clicks.session_id is 'The session that the sender gave; null: none.';
comment on column business.link_clicks.click_source is 'Where the click was seen: redirect, or what the sender says.';
comment on column business.link_clicks.metadata is 'What the sender added.';
grant select on business.link_clicks to mainstem_api, mainstem_worker;

-- views of the model

create or replace view "business"."tracked_link" with (security_invoker = true) as
select h."tenant_id" as "tenant_id",
       h."tracking_id" as "tracking_id",
       h."load_ts" as "first_seen",
       s1."load_ts" as "last_changed",
       s1."host" as "host",
       s1."slug" as "slug",
       s1."target_url" as "target_url",
       s1."link_title" as "link_title",
       s1."description" as "description",
       s1."tags" as "tags",
       s1."campaign" as "campaign",
       s1."link_function" as "link_function",
       s1."link_type" as "link_type",
       s1."job_id" as "job_id",
       s1."application_id" as "application_id",
       s1."active" as "active",
       s1."archived" as "archived",
       s1."deleted" as "deleted",
       s1."valid_since" as "valid_since",
       s1."expires_at" as "expires_at",
       s1."click_limit" as "click_limit",
       s1."changed_by" as "changed_by"
from "vault"."hub_tracked_link" h
left join lateral (
  select t.* from "vault"."sat_tracked_link" t where t."tenant_id" = h."tenant_id" and t."tracked_link_hk" = h."tracked_link_hk"
  order by t."load_ts" desc, t."raw_id" desc limit 1
) s1 on true
where h."tracked_link_hk" <> '\x0000000000000000000000000000000000000000000000000000000000000000'::bytea;
comment on view "business"."tracked_link" is 'Tracked links by their tracking id: those that were made here, and whatever senders of clicks name. Current state.';
comment on column "business"."tracked_link"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "business"."tracked_link"."tracking_id" is 'Name of the tracked link within the tenant.';
comment on column "business"."tracked_link"."first_seen" is 'When the vault first heard of it: the time of the load.';
comment on column "business"."tracked_link"."last_changed" is 'When the vault last learned something new about it; null: nothing but its key is known.';
comment on column "business"."tracked_link"."host" is 'Host of the link''s domain; null: the address of the hub itself.';
comment on column "business"."tracked_link"."slug" is 'The path after the host''s slash.';
comment on column "business"."tracked_link"."target_url" is 'Where the visitor was sent.';
comment on column "business"."tracked_link"."link_title" is 'Title of the link.';
comment on column "business"."tracked_link"."description" is 'What the link is for.';
comment on column "business"."tracked_link"."tags" is 'Tags of the link, sorted, with commas.';
comment on column "business"."tracked_link"."campaign" is 'Name of the link''s campaign.';
comment on column "business"."tracked_link"."link_function" is 'What the link does, in the words of the system that made it.';
comment on column "business"."tracked_link"."link_type" is 'Kind of link, in the words of the system that made it.';
comment on column "business"."tracked_link"."job_id" is 'Job that the link belongs to, in the words of the system that made it.';
comment on column "business"."tracked_link"."application_id" is 'Application that the link belongs to, in the words of the system that made it.';
comment on column "business"."tracked_link"."active" is 'Whether the link redirects.';
comment on column "business"."tracked_link"."archived" is 'Whether lists leave the link out.';
comment on column "business"."tracked_link"."deleted" is 'Whether the link was deleted.';
comment on column "business"."tracked_link"."valid_since" is 'From when on the link redirects; null: at once.';
comment on column "business"."tracked_link"."expires_at" is 'Until when the link redirects; null: for ever.';
comment on column "business"."tracked_link"."click_limit" is 'Clicks after which the link leads elsewhere; null: any number.';
comment on column "business"."tracked_link"."changed_by" is 'Who changed the link: key:<id>, user:<id> or cli.';
grant select on "business"."tracked_link" to "mainstem_api", "mainstem_worker";

create or replace view "business"."tracked_link_history" with (security_invoker = true) as
select h."tenant_id" as "tenant_id",
       h."tracking_id" as "tracking_id",
       s."load_ts" as "valid_from",
       s.valid_to as "valid_to",
       s."rsrc" as "source",
       s."host" as "host",
       s."slug" as "slug",
       s."target_url" as "target_url",
       s."link_title" as "link_title",
       s."description" as "description",
       s."tags" as "tags",
       s."campaign" as "campaign",
       s."link_function" as "link_function",
       s."link_type" as "link_type",
       s."job_id" as "job_id",
       s."application_id" as "application_id",
       s."active" as "active",
       s."archived" as "archived",
       s."deleted" as "deleted",
       s."valid_since" as "valid_since",
       s."expires_at" as "expires_at",
       s."click_limit" as "click_limit",
       s."changed_by" as "changed_by"
from "vault"."hub_tracked_link" h
cross join lateral (
  select t.*, lead(t."load_ts") over (order by t."load_ts", t."raw_id") as valid_to
  from "vault"."sat_tracked_link" t where t."tenant_id" = h."tenant_id" and t."tracked_link_hk" = h."tracked_link_hk"
) s
where h."tracked_link_hk" <> '\x0000000000000000000000000000000000000000000000000000000000000000'::bytea;
comment on view "business"."tracked_link_history" is 'What was said of a tracked link over time: where it led, whose it was, whether it was there. One row per version.';
comment on column "business"."tracked_link_history"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "business"."tracked_link_history"."tracking_id" is 'Name of the tracked link within the tenant.';
comment on column "business"."tracked_link_history"."valid_from" is 'Since when this was known: the time of the load that brought it.';
comment on column "business"."tracked_link_history"."valid_to" is 'Until when it was the last thing known; null: it still is.';
comment on column "business"."tracked_link_history"."source" is 'Where it came from: the source of the event.';
comment on column "business"."tracked_link_history"."host" is 'Host of the link''s domain; null: the address of the hub itself.';
comment on column "business"."tracked_link_history"."slug" is 'The path after the host''s slash.';
comment on column "business"."tracked_link_history"."target_url" is 'Where the visitor was sent.';
comment on column "business"."tracked_link_history"."link_title" is 'Title of the link.';
comment on column "business"."tracked_link_history"."description" is 'What the link is for.';
comment on column "business"."tracked_link_history"."tags" is 'Tags of the link, sorted, with commas.';
comment on column "business"."tracked_link_history"."campaign" is 'Name of the link''s campaign.';
comment on column "business"."tracked_link_history"."link_function" is 'What the link does, in the words of the system that made it.';
comment on column "business"."tracked_link_history"."link_type" is 'Kind of link, in the words of the system that made it.';
comment on column "business"."tracked_link_history"."job_id" is 'Job that the link belongs to, in the words of the system that made it.';
comment on column "business"."tracked_link_history"."application_id" is 'Application that the link belongs to, in the words of the system that made it.';
comment on column "business"."tracked_link_history"."active" is 'Whether the link redirects.';
comment on column "business"."tracked_link_history"."archived" is 'Whether lists leave the link out.';
comment on column "business"."tracked_link_history"."deleted" is 'Whether the link was deleted.';
comment on column "business"."tracked_link_history"."valid_since" is 'From when on the link redirects; null: at once.';
comment on column "business"."tracked_link_history"."expires_at" is 'Until when the link redirects; null: for ever.';
comment on column "business"."tracked_link_history"."click_limit" is 'Clicks after which the link leads elsewhere; null: any number.';
comment on column "business"."tracked_link_history"."changed_by" is 'Who changed the link: key:<id>, user:<id> or cli.';
grant select on "business"."tracked_link_history" to "mainstem_api", "mainstem_worker";

create or replace view "business"."click" with (security_invoker = true) as
select f."tenant_id" as "tenant_id",
       f."received_at" as "received_at",
       f."event_uid" as "event_uid",
       f."occurred_at" as "occurred_at",
       f."load_ts" as "loaded_at",
       f."raw_id" as "raw_id",
       f."rsrc" as "source",
       f."kind" as "kind",
       f."flags" as "flags",
       k2."visitor_bk" as "visitor",
       f."tracking_id" as "tracking_id",
       f."link_id" as "link_id",
       f."click_source" as "click_source",
       f."session_id" as "session_id",
       f."target_url" as "target_url",
       f."referrer_url" as "referrer_url",
       f."referrer_host" as "referrer_host",
       f."channel" as "channel",
       f."utm_source" as "utm_source",
       f."utm_medium" as "utm_medium",
       f."utm_campaign" as "utm_campaign",
       f."utm_term" as "utm_term",
       f."utm_content" as "utm_content",
       f."device" as "device",
       f."os" as "os",
       f."browser" as "browser",
       f."is_bot" as "is_bot",
       f."bot_reason" as "bot_reason",
       f."ip" as "ip",
       f."user_agent" as "user_agent",
       f."country" as "country",
       f."city" as "city",
       f."language" as "language",
       f."rule" as "rule",
       f."variant" as "variant",
       f."metadata" as "metadata"
from "vault"."nhl_click" f
left join "vault"."hub_visitor" k2 on k2."tenant_id" = f."tenant_id" and k2."visitor_hk" = f."visitor_hk" and f."visitor_hk" <> '\x0000000000000000000000000000000000000000000000000000000000000000'::bytea;
comment on view "business"."click" is 'Clicks on tracked links, seen by the redirect or sent in by others.';
comment on column "business"."click"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "business"."click"."received_at" is 'When the event was accepted.';
comment on column "business"."click"."event_uid" is 'Identity of the event: from its message id where the sender gave one.';
comment on column "business"."click"."occurred_at" is 'When it happened, as the sender says, within the limits set for clocks.';
comment on column "business"."click"."loaded_at" is 'Time of the load that brought the row; strictly increasing per lane.';
comment on column "business"."click"."raw_id" is 'The raw event that brought the row: raw.event, while its day is kept.';
comment on column "business"."click"."source" is 'Where it came from: the source of the event.';
comment on column "business"."click"."kind" is 'Kind of the event, in dotted words.';
comment on column "business"."click"."flags" is 'Bits about how it came in: 1 time was in the future, 2 clock skew corrected, 4 server''s agent, 8 no time given, 16 sealed personal data.';
comment on column "business"."click"."visitor" is 'Key of the visitor, made at intake: v:<visitor id>, u:<user id> or h:<daily keyed hash>.';
comment on column "business"."click"."tracking_id" is 'Name of the tracked link within the tenant.';
comment on column "business"."click"."link_id" is 'The link in links.tracked_link, as long as it is there; null: never registered.';
comment on column "business"."click"."click_source" is 'Where the click was seen: redirect, or what the sender says.';
comment on column "business"."click"."session_id" is 'The session that the sender gave; null: none.';
comment on column "business"."click"."target_url" is 'Where the visitor was sent.';
comment on column "business"."click"."referrer_url" is 'Address of the page before, where the browser tells it.';
comment on column "business"."click"."referrer_host" is 'Host of the page before; null: none, or the site itself.';
comment on column "business"."click"."channel" is 'How the visitor came: campaign, search, social, referral, internal or direct.';
comment on column "business"."click"."utm_source" is 'utm_source of the address: who sent the visitor.';
comment on column "business"."click"."utm_medium" is 'utm_medium of the address: by which means.';
comment on column "business"."click"."utm_campaign" is 'utm_campaign of the address: for which campaign.';
comment on column "business"."click"."utm_term" is 'utm_term of the address: for which search term.';
comment on column "business"."click"."utm_content" is 'utm_content of the address: by which variant.';
comment on column "business"."click"."device" is 'Kind of device, as read from the user agent: desktop, mobile, tablet, bot, other or unknown.';
comment on column "business"."click"."os" is 'Operating system, as read from the user agent.';
comment on column "business"."click"."browser" is 'Browser, as read from the user agent.';
comment on column "business"."click"."is_bot" is 'Whether it is a program that only looks like a visitor.';
comment on column "business"."click"."bot_reason" is 'Why it was judged to be a bot.';
comment on column "business"."click"."ip" is 'Address after IP_MODE: truncated, salted, kept or null.';
comment on column "business"."click"."user_agent" is 'The visitor''s user agent, as sent.';
comment on column "business"."click"."country" is 'Country of the address, ISO 3166-1 alpha-2, where a geo file is configured.';
comment on column "business"."click"."city" is 'City of the address, where a geo file is configured.';
comment on column "business"."click"."language" is 'Language that the browser prefers.';
comment on column "business"."click"."rule" is 'Number of the redirect rule that decided, from 1; null: none.';
comment on column "business"."click"."variant" is 'Number of the variant of an A/B test that was shown, from 1; null: none.';
comment on column "business"."click"."metadata" is 'What the sender added.';
grant select on "business"."click" to "mainstem_api", "mainstem_worker";
