-- Views for people, comments on every column, models of users, and snapshots that close.
-- The comments of vault tables and the views are what the engine makes of `mainstem.vault.model`; a test compares them.

-- models of users

create table vault.model_state (
  only_row boolean primary key default true constraint model_state_only_row_check check (only_row),
  version  bigint not null
) with (fillfactor = 10);
comment on table vault.model_state is 'One row: the number of the model that loads must follow. A load that began under another is undone.';
insert into vault.model_state (version) values (0);

create table vault.model (
  version    bigint primary key,
  applied_at timestamptz not null default clock_timestamp(),
  applied_by text not null default session_user,
  path       text not null,
  format     text not null constraint model_format_check check (format in ('yaml', 'python')),
  sha256     text not null,
  source     text,
  changes    text[] not null
);
comment on table vault.model is 'Models of users as they were applied; the last one counts.';
comment on column vault.model.version is 'Number of the model; 0 is the built-in one alone.';
comment on column vault.model.applied_at is 'When mainstem vault apply made it so.';
comment on column vault.model.applied_by is 'Database role that applied it.';
comment on column vault.model.path is 'The file, as it was named then.';
comment on column vault.model.format is 'yaml: loaders read it from here; python: each process reads its own file.';
comment on column vault.model.sha256 is 'SHA-256 of the file, in hex.';
comment on column vault.model.source is 'Text of a YAML file; null for Python, which is never run from the database.';
comment on column vault.model.changes is 'The statements that were run.';

create table vault.model_load (
  feed       text not null,
  table_name text not null,
  added_at   timestamptz not null default clock_timestamp(),
  live_at    timestamptz,
  primary key (feed, table_name)
);
comment on table vault.model_load is 'Which tables are loaded from which feeds of users.';
comment on column vault.model_load.live_at is 'Since when loads fill it; null: it waits for mainstem vault backfill.';

create table vault.snapshot (
  table_name text not null,
  as_of      timestamptz not null,
  built_at   timestamptz not null default clock_timestamp(),
  primary key (table_name, as_of)
);
comment on table vault.snapshot is 'Snapshots that are closed: built once, after every load up to their time had ended, and never changed.';

revoke all on vault.model_state, vault.model, vault.model_load, vault.snapshot from public;
grant select, insert, update, delete on vault.model_state, vault.model, vault.model_load, vault.snapshot to mainstem_worker;

-- Every load holds the lock `vault.load` in share mode until it ends. Whoever takes it alone knows that all loads that
-- have a load time have ended, and that none gets one before he lets go.
create or replace function vault.open_load(p_lane integer) returns timestamptz
language plpgsql
as $$
declare
  v_load_ts timestamptz;
begin
  perform pg_advisory_xact_lock_shared(hashtext('vault.load'));
  perform pg_advisory_xact_lock(hashtext('vault.lane'), p_lane);
  insert into vault.lane as l (lane, load_ts) values (p_lane, clock_timestamp())
  on conflict (lane) do update set load_ts = greatest(excluded.load_ts, l.load_ts + interval '1 microsecond')
  returning load_ts into v_load_ts;
  return v_load_ts;
end $$;

-- As above, for a loader that follows a model: the model is looked at under the lock, for it changes under the lock.
create function vault.open_load(p_lane integer, p_model bigint) returns timestamptz
language plpgsql
as $$
declare
  v_load_ts constant timestamptz := vault.open_load(p_lane);
  v_model   constant bigint := (select version from vault.model_state);
begin
  if v_model <> p_model then
    raise exception 'the model changed from version % to %', p_model, v_model
      using errcode = 'serialization_failure', hint = 'Load again by the new one.';
  end if;
  return v_load_ts;
end $$;
comment on function vault.open_load(integer, bigint) is
  'Takes a lane until commit; returns a strictly increasing load time. Fails when the model is another one.';

-- Waits for the loads under way and holds off new ones until commit; no later load gets a time up to p_as_of.
create function vault.close_loads(p_as_of timestamptz) returns void
language plpgsql
as $$
begin
  if p_as_of >= clock_timestamp() then
    raise exception 'the time % is not over yet', p_as_of using errcode = 'invalid_parameter_value';
  end if;
  perform pg_advisory_xact_lock(hashtext('vault.load'));
  -- even if the clock is put back
  update vault.lane set load_ts = greatest(load_ts, p_as_of);
end $$;
comment on function vault.close_loads(timestamptz) is
  'Waits for all loads; none after them has a time up to the one given.';

-- Ghost rows of all hubs and satellites, whoever added them, by the catalogue: the tenant, the zero key and, where a
-- value must be, the value of its type that stands for "unknown" (as mainstem.vault.engine.ghosts).
create function vault.make_ghost(p_table regclass, p_tenant_id integer) returns void
language plpgsql
as $$
declare
  v_names  text;
  v_values text;
begin
  select string_agg(quote_ident(a.attname), ', ' order by a.attnum),
         string_agg(case
           when a.attname = 'tenant_id' then p_tenant_id::text
           when a.attname = 'rsrc' then quote_literal('mainstem')
           when t.typname in ('bytea', 'timestamptz') or a.attnotnull then
             quote_literal(case
               when t.typname = 'bytea' then '\x' || repeat('00', 32)
               when t.typname in ('timestamptz', 'timestamp', 'date') then '1900-01-01 00:00:00+00'
               when t.typcategory = 'N' then '0'
               when t.typname = 'bool' then 'false'
               when t.typname = 'uuid' then '00000000-0000-0000-0000-000000000000'
               when t.typname = 'jsonb' then '{}'
               else '(unknown)' end) || '::' || format_type(a.atttypid, a.atttypmod)
           else 'null' end, ', ' order by a.attnum)
  into v_names, v_values
  from pg_attribute a join pg_type t on t.oid = a.atttypid
  where a.attrelid = p_table and a.attnum > 0 and not a.attisdropped and a.attgenerated = '';
  execute format('insert into %s (%s) values (%s) on conflict do nothing', p_table, v_names, v_values);
end $$;
comment on function vault.make_ghost(regclass, integer) is 'Gives one tenant the ghost row of a hub or satellite.';

create or replace function vault.add_ghosts() returns trigger
language plpgsql security definer set search_path = vault, pg_temp
as $$
begin
  perform make_ghost(c.oid, new.tenant_id)
  from (select c.oid from pg_class c
        where c.relnamespace = 'vault'::regnamespace and c.relkind = 'r' and c.relname ~ '^(hub|sat|msat)_'
        order by c.relname) c;
  return null;
end $$;

revoke execute on function vault.open_load(integer, bigint), vault.close_loads(timestamptz),
  vault.make_ghost(regclass, integer) from public;
grant execute on function vault.open_load(integer, bigint), vault.close_loads(timestamptz),
  vault.make_ghost(regclass, integer) to mainstem_worker;

-- what people ask by: one business key of many. Of any length, so by its hash.
create index hub_page_bk_idx on vault.hub_page using hash (page_bk);
create index hub_visitor_bk_idx on vault.hub_visitor using hash (visitor_bk);
create index hub_session_bk_idx on vault.hub_session using hash (session_bk);

-- comments of the tables that are no structure of the model

comment on column vault.event_seen.tenant_id is 'The tenant that the row belongs to: platform.tenant.';
comment on column vault.event_seen.event_uid is 'Identity of the event.';
comment on column vault.event_seen.raw_id is 'The raw event that stands for it.';
comment on column vault.lane.lane is 'Number of the lane: tenant_id modulo the number of lanes.';
comment on column vault.lane.load_ts is 'Time of the last load.';

comment on column business.pipeline_total.tenant_id is 'The tenant that the row belongs to: platform.tenant.';
comment on column business.pipeline_total.loaded is 'Events that are in the vault.';
comment on column business.pipeline_total.duplicates is 'Events whose message was there already.';
comment on column business.pipeline_total.rejected is 'Events that were refused, with a reason in staging.rejected.';
comment on column business.pipeline_total.latest_received_at is 'When the latest of them was accepted.';
comment on column business.pipeline_total.updated_at is 'Time of the last load.';
comment on column business.pipeline_minute.tenant_id is 'The tenant that the row belongs to: platform.tenant.';
comment on column business.pipeline_minute.minute is 'Minute of the load.';
comment on column business.pipeline_minute.loaded is 'Events that came into the vault.';
comment on column business.pipeline_minute.duplicates is 'Events whose message was there already.';
comment on column business.pipeline_minute.rejected is 'Events that were refused, with a reason in staging.rejected.';

comment on column business.session.tenant_id is 'The tenant that the row belongs to: platform.tenant.';
comment on column business.session.explicit is 'Whether the sender gave the session an id.';
comment on column business.session.session_hk is 'Hash key of the session in vault.hub_session; 32 zero bytes: the sender gave no id.';
comment on column business.session.visitor_hk is 'Hash key of the visitor in vault.hub_visitor.';
comment on column business.session.is_bot is 'Whether it is a program that only looks like a visitor.';
comment on column business.session.started_at is 'When its first event occurred.';
comment on column business.session.ended_at is 'When its last event occurred.';
comment on column business.session.events is 'Number of its events.';
comment on column business.session.page_views is 'Number of its page views.';
comment on column business.session.entry_at is 'When its first page view occurred; null: it has none.';
comment on column business.session.entry_uid is 'Uid of its first page view.';
comment on column business.session.entry_page is 'Page of its first page view.';
comment on column business.session.exit_at is 'When its last page view occurred.';
comment on column business.session.exit_uid is 'Uid of its last page view.';
comment on column business.session.exit_page is 'Page of its last page view.';
comment on column business.session.referrer_host is 'Host of the page before the session; null: none.';
comment on column business.session.channel is 'How the visitor came.';
comment on column business.session.campaign_hk is 'Hash key of the campaign in vault.hub_campaign; 32 zero bytes: none.';
comment on column business.session.utm_source is 'utm_source of the address: who sent the visitor.';
comment on column business.session.utm_medium is 'utm_medium of the address: by which means.';
comment on column business.session.utm_campaign is 'utm_campaign of the address: for which campaign.';
comment on column business.session.device is 'Kind of device, as read from the user agent.';
comment on column business.session.os is 'Operating system, as read from the user agent.';
comment on column business.session.browser is 'Browser, as read from the user agent.';
comment on column business.session.duration_ms is 'Milliseconds from its first to its last event.';
comment on column business.session.is_bounce is 'Neither a second page view nor ten seconds.';

comment on column business.site_hour.tenant_id is 'The tenant that the row belongs to: platform.tenant.';
comment on column business.site_hour.hour is 'Hour (UTC) in which the events occurred.';
comment on column business.site_hour.is_bot is 'Whether these are programs that only look like visitors.';
comment on column business.site_hour.events is 'Number of events.';
comment on column business.site_hour.page_views is 'Number of page views.';
comment on column business.site_hour.bounces is 'Sessions of this hour that were bounces.';
comment on column business.site_hour.duration_ms is 'Milliseconds of all sessions of this hour together.';
comment on column business.visitor_day.tenant_id is 'The tenant that the row belongs to: platform.tenant.';
comment on column business.visitor_day.day is 'UTC day.';
comment on column business.visitor_day.visitor_hk is 'Hash key of the visitor in vault.hub_visitor.';
comment on column business.visitor_day.is_bot is 'Whether it is a program that only looks like a visitor.';
comment on column business.visitor_day.first_at is 'When the first event of the day occurred.';
comment on column business.site_day.tenant_id is 'The tenant that the row belongs to: platform.tenant.';
comment on column business.site_day.dimension is 'By what is counted: page, referrer, channel, source, medium, campaign, device, os, browser or event_type.';
comment on column business.site_day.day is 'UTC day in which the events occurred.';
comment on column business.site_day.value is 'Value of the dimension.';
comment on column business.site_day.is_bot is 'Whether these are programs that only look like visitors.';
comment on column business.site_day.events is 'Number of events.';
comment on column business.site_day.page_views is 'Number of page views.';


-- comments of the model's columns

comment on column vault.verified.check_name is 'Name of the check.';
comment on column vault.verified.subject is 'Table that it checks.';
comment on column vault.verified.checked_at is 'When it last passed.';

comment on column "vault"."hub_visitor"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "vault"."hub_visitor"."visitor_hk" is 'Hash key of the visitor; 32 zero bytes: none.';
comment on column "vault"."hub_visitor"."visitor_bk" is 'Key of the visitor, made at intake: v:<visitor id>, u:<user id> or h:<daily keyed hash>.';
comment on column "vault"."hub_visitor"."load_ts" is 'Time of the load that brought the row; strictly increasing per lane.';
comment on column "vault"."hub_visitor"."rsrc" is 'Where it came from: the source of the event.';

comment on column "vault"."hub_session"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "vault"."hub_session"."session_hk" is 'Hash key of the session; 32 zero bytes: none.';
comment on column "vault"."hub_session"."session_bk" is 'The session id that the sender gave; null: none.';
comment on column "vault"."hub_session"."load_ts" is 'Time of the load that brought the row; strictly increasing per lane.';
comment on column "vault"."hub_session"."rsrc" is 'Where it came from: the source of the event.';

comment on column "vault"."hub_page"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "vault"."hub_page"."page_hk" is 'Hash key of the page; 32 zero bytes: none.';
comment on column "vault"."hub_page"."page_bk" is 'The page: scheme, lower-case host and path, without query and fragment.';
comment on column "vault"."hub_page"."load_ts" is 'Time of the load that brought the row; strictly increasing per lane.';
comment on column "vault"."hub_page"."rsrc" is 'Where it came from: the source of the event.';

comment on column "vault"."hub_campaign"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "vault"."hub_campaign"."campaign_hk" is 'Hash key of the campaign; 32 zero bytes: none.';
comment on column "vault"."hub_campaign"."utm_source" is 'utm_source of the address: who sent the visitor.';
comment on column "vault"."hub_campaign"."utm_medium" is 'utm_medium of the address: by which means.';
comment on column "vault"."hub_campaign"."utm_campaign" is 'utm_campaign of the address: for which campaign.';
comment on column "vault"."hub_campaign"."load_ts" is 'Time of the load that brought the row; strictly increasing per lane.';
comment on column "vault"."hub_campaign"."rsrc" is 'Where it came from: the source of the event.';

comment on column "vault"."lnk_session_visitor"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "vault"."lnk_session_visitor"."session_hk" is 'Hash key of the session; 32 zero bytes: none.';
comment on column "vault"."lnk_session_visitor"."visitor_hk" is 'Hash key of the visitor; 32 zero bytes: none.';
comment on column "vault"."lnk_session_visitor"."load_ts" is 'Time of the load that brought the row; strictly increasing per lane.';
comment on column "vault"."lnk_session_visitor"."rsrc" is 'Where it came from: the source of the event.';

comment on column "vault"."sat_page"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "vault"."sat_page"."page_hk" is 'Hash key of the page; 32 zero bytes: none.';
comment on column "vault"."sat_page"."load_ts" is 'Time of the load that brought the row; strictly increasing per lane.';
comment on column "vault"."sat_page"."raw_id" is 'The raw event that brought the row: raw.event, while its day is kept.';
comment on column "vault"."sat_page"."hashdiff" is 'Hash of the payload: a new row is stored when it differs from the last.';
comment on column "vault"."sat_page"."rsrc" is 'Where it came from: the source of the event.';
comment on column "vault"."sat_page"."title" is 'Title of the page.';

comment on column "vault"."sat_visitor_device"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "vault"."sat_visitor_device"."visitor_hk" is 'Hash key of the visitor; 32 zero bytes: none.';
comment on column "vault"."sat_visitor_device"."load_ts" is 'Time of the load that brought the row; strictly increasing per lane.';
comment on column "vault"."sat_visitor_device"."raw_id" is 'The raw event that brought the row: raw.event, while its day is kept.';
comment on column "vault"."sat_visitor_device"."hashdiff" is 'Hash of the payload: a new row is stored when it differs from the last.';
comment on column "vault"."sat_visitor_device"."rsrc" is 'Where it came from: the source of the event.';
comment on column "vault"."sat_visitor_device"."device" is 'Kind of device, as read from the user agent: desktop, mobile, tablet, bot, other or unknown.';
comment on column "vault"."sat_visitor_device"."os" is 'Operating system, as read from the user agent.';
comment on column "vault"."sat_visitor_device"."browser" is 'Browser, as read from the user agent.';
comment on column "vault"."sat_visitor_device"."is_bot" is 'Whether it is a program that only looks like a visitor.';
comment on column "vault"."sat_visitor_device"."bot_reason" is 'Why it was judged to be a bot.';

comment on column "vault"."nhl_site_event"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "vault"."nhl_site_event"."received_at" is 'When the event was accepted.';
comment on column "vault"."nhl_site_event"."event_uid" is 'Identity of the event: from its message id where the sender gave one.';
comment on column "vault"."nhl_site_event"."visitor_hk" is 'Hash key of the visitor; 32 zero bytes: none.';
comment on column "vault"."nhl_site_event"."session_hk" is 'Hash key of the session; 32 zero bytes: none.';
comment on column "vault"."nhl_site_event"."page_hk" is 'Hash key of the page; 32 zero bytes: none.';
comment on column "vault"."nhl_site_event"."campaign_hk" is 'Hash key of the campaign; 32 zero bytes: none.';
comment on column "vault"."nhl_site_event"."occurred_at" is 'When it happened, as the sender says, within the limits set for clocks.';
comment on column "vault"."nhl_site_event"."load_ts" is 'Time of the load that brought the row; strictly increasing per lane.';
comment on column "vault"."nhl_site_event"."raw_id" is 'The raw event that brought the row: raw.event, while its day is kept.';
comment on column "vault"."nhl_site_event"."rsrc" is 'Where it came from: the source of the event.';
comment on column "vault"."nhl_site_event"."kind" is 'Kind of the event, in dotted words.';
comment on column "vault"."nhl_site_event"."flags" is 'Bits about how it came in: 1 time was in the future, 2 clock skew corrected, 4 server''s agent, 8 no time given, 16 sealed personal data.';
comment on column "vault"."nhl_site_event"."session_bk" is 'The session id that the sender gave; null: none.';
comment on column "vault"."nhl_site_event"."user_id" is 'The signed-in user''s id that the sender gave.';
comment on column "vault"."nhl_site_event"."event_type" is 'What happened, in the sender''s word: page_view, click, …';
comment on column "vault"."nhl_site_event"."page_url" is 'Address of the page, as sent.';
comment on column "vault"."nhl_site_event"."page_host" is 'Host of the page, in lower case.';
comment on column "vault"."nhl_site_event"."page_path" is 'Path of the page.';
comment on column "vault"."nhl_site_event"."page_title" is 'Title of the page at that moment.';
comment on column "vault"."nhl_site_event"."referrer_url" is 'Address of the page before, where the browser tells it.';
comment on column "vault"."nhl_site_event"."referrer_host" is 'Host of the page before; null: none, or the site itself.';
comment on column "vault"."nhl_site_event"."channel" is 'How the visitor came: campaign, search, social, referral, internal or direct.';
comment on column "vault"."nhl_site_event"."utm_source" is 'utm_source of the address: who sent the visitor.';
comment on column "vault"."nhl_site_event"."utm_medium" is 'utm_medium of the address: by which means.';
comment on column "vault"."nhl_site_event"."utm_campaign" is 'utm_campaign of the address: for which campaign.';
comment on column "vault"."nhl_site_event"."utm_term" is 'utm_term of the address: for which search term.';
comment on column "vault"."nhl_site_event"."utm_content" is 'utm_content of the address: by which variant.';
comment on column "vault"."nhl_site_event"."device" is 'Kind of device, as read from the user agent: desktop, mobile, tablet, bot, other or unknown.';
comment on column "vault"."nhl_site_event"."os" is 'Operating system, as read from the user agent.';
comment on column "vault"."nhl_site_event"."browser" is 'Browser, as read from the user agent.';
comment on column "vault"."nhl_site_event"."is_bot" is 'Whether it is a program that only looks like a visitor.';
comment on column "vault"."nhl_site_event"."bot_reason" is 'Why it was judged to be a bot.';
comment on column "vault"."nhl_site_event"."ip" is 'Address after IP_MODE: truncated, salted, kept or null.';
comment on column "vault"."nhl_site_event"."language" is 'Language that the browser prefers.';
comment on column "vault"."nhl_site_event"."screen" is 'Size of the screen, width x height.';
comment on column "vault"."nhl_site_event"."properties" is 'Further properties that the sender gave.';

comment on column "vault"."hub_customer"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "vault"."hub_customer"."customer_hk" is 'Hash key of the customer; 32 zero bytes: none.';
comment on column "vault"."hub_customer"."customer_bk" is 'Random id of a person: its subject id, which says nothing about them.';
comment on column "vault"."hub_customer"."load_ts" is 'Time of the load that brought the row; strictly increasing per lane.';
comment on column "vault"."hub_customer"."rsrc" is 'Where it came from: the source of the event.';

comment on column "vault"."lnk_customer_visitor"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "vault"."lnk_customer_visitor"."customer_hk" is 'Hash key of the customer; 32 zero bytes: none.';
comment on column "vault"."lnk_customer_visitor"."visitor_hk" is 'Hash key of the visitor; 32 zero bytes: none.';
comment on column "vault"."lnk_customer_visitor"."load_ts" is 'Time of the load that brought the row; strictly increasing per lane.';
comment on column "vault"."lnk_customer_visitor"."rsrc" is 'Where it came from: the source of the event.';

comment on column "vault"."sat_customer_site_pii"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "vault"."sat_customer_site_pii"."customer_hk" is 'Hash key of the customer; 32 zero bytes: none.';
comment on column "vault"."sat_customer_site_pii"."fields" is 'Names of the personal fields that came together.';
comment on column "vault"."sat_customer_site_pii"."load_ts" is 'Time of the load that brought the row; strictly increasing per lane.';
comment on column "vault"."sat_customer_site_pii"."raw_id" is 'The raw event that brought the row: raw.event, while its day is kept.';
comment on column "vault"."sat_customer_site_pii"."hashdiff" is 'Hash of the payload: a new row is stored when it differs from the last.';
comment on column "vault"."sat_customer_site_pii"."rsrc" is 'Where it came from: the source of the event.';
comment on column "vault"."sat_customer_site_pii"."sealed" is 'The values of these fields, sealed by the person''s own key.';

comment on column "vault"."nhl_event"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "vault"."nhl_event"."received_at" is 'When the event was accepted.';
comment on column "vault"."nhl_event"."event_uid" is 'Identity of the event: from its message id where the sender gave one.';
comment on column "vault"."nhl_event"."customer_hk" is 'Hash key of the customer; 32 zero bytes: none.';
comment on column "vault"."nhl_event"."occurred_at" is 'When it happened, as the sender says, within the limits set for clocks.';
comment on column "vault"."nhl_event"."load_ts" is 'Time of the load that brought the row; strictly increasing per lane.';
comment on column "vault"."nhl_event"."raw_id" is 'The raw event that brought the row: raw.event, while its day is kept.';
comment on column "vault"."nhl_event"."rsrc" is 'Where it came from: the source of the event.';
comment on column "vault"."nhl_event"."kind" is 'Kind of the event, in dotted words.';
comment on column "vault"."nhl_event"."flags" is 'Bits about how it came in: 1 time was in the future, 2 clock skew corrected, 4 server''s agent, 8 no time given, 16 sealed personal data.';
comment on column "vault"."nhl_event"."subject" is 'What the event is about, in the words of its kind.';
comment on column "vault"."nhl_event"."data" is 'What the sender said, as it came.';

comment on column "vault"."sat_customer_pii"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "vault"."sat_customer_pii"."customer_hk" is 'Hash key of the customer; 32 zero bytes: none.';
comment on column "vault"."sat_customer_pii"."fields" is 'Names of the personal fields that came together.';
comment on column "vault"."sat_customer_pii"."load_ts" is 'Time of the load that brought the row; strictly increasing per lane.';
comment on column "vault"."sat_customer_pii"."raw_id" is 'The raw event that brought the row: raw.event, while its day is kept.';
comment on column "vault"."sat_customer_pii"."hashdiff" is 'Hash of the payload: a new row is stored when it differs from the last.';
comment on column "vault"."sat_customer_pii"."rsrc" is 'Where it came from: the source of the event.';
comment on column "vault"."sat_customer_pii"."sealed" is 'The values of these fields, sealed by the person''s own key.';

-- views of the model

create or replace view "business"."visitor" with (security_invoker = true) as
select h."tenant_id" as "tenant_id",
       h."visitor_bk" as "visitor",
       h."load_ts" as "first_seen",
       s1."load_ts" as "last_changed",
       s1."device" as "device",
       s1."os" as "os",
       s1."browser" as "browser",
       s1."is_bot" as "is_bot",
       s1."bot_reason" as "bot_reason"
from "vault"."hub_visitor" h
left join lateral (
  select t.* from "vault"."sat_visitor_device" t where t."tenant_id" = h."tenant_id" and t."visitor_hk" = h."visitor_hk"
  order by t."load_ts" desc, t."raw_id" desc limit 1
) s1 on true
where h."visitor_hk" <> '\x0000000000000000000000000000000000000000000000000000000000000000'::bytea;
comment on view "business"."visitor" is 'Visitors by the key made at intake: v:<visitor id>, u:<user id> or h:<daily keyed hash>. Current state.';
comment on column "business"."visitor"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "business"."visitor"."visitor" is 'Key of the visitor, made at intake: v:<visitor id>, u:<user id> or h:<daily keyed hash>.';
comment on column "business"."visitor"."first_seen" is 'When the vault first heard of it: the time of the load.';
comment on column "business"."visitor"."last_changed" is 'When the vault last learned something new about it; null: nothing but its key is known.';
comment on column "business"."visitor"."device" is 'Kind of device, as read from the user agent: desktop, mobile, tablet, bot, other or unknown.';
comment on column "business"."visitor"."os" is 'Operating system, as read from the user agent.';
comment on column "business"."visitor"."browser" is 'Browser, as read from the user agent.';
comment on column "business"."visitor"."is_bot" is 'Whether it is a program that only looks like a visitor.';
comment on column "business"."visitor"."bot_reason" is 'Why it was judged to be a bot.';
grant select on "business"."visitor" to "mainstem_api", "mainstem_worker";

create or replace view "business"."session_current" with (security_invoker = true) as
select h."tenant_id" as "tenant_id",
       h."session_bk" as "session",
       h."load_ts" as "first_seen"
from "vault"."hub_session" h
where h."session_hk" <> '\x0000000000000000000000000000000000000000000000000000000000000000'::bytea;
comment on view "business"."session_current" is 'Sessions by the session id that the sender gave.';
comment on column "business"."session_current"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "business"."session_current"."session" is 'The session id that the sender gave; null: none.';
comment on column "business"."session_current"."first_seen" is 'When the vault first heard of it: the time of the load.';
grant select on "business"."session_current" to "mainstem_api", "mainstem_worker";

create or replace view "business"."page" with (security_invoker = true) as
select h."tenant_id" as "tenant_id",
       h."page_bk" as "page",
       h."load_ts" as "first_seen",
       s1."load_ts" as "last_changed",
       s1."title" as "title"
from "vault"."hub_page" h
left join lateral (
  select t.* from "vault"."sat_page" t where t."tenant_id" = h."tenant_id" and t."page_hk" = h."page_hk"
  order by t."load_ts" desc, t."raw_id" desc limit 1
) s1 on true
where h."page_hk" <> '\x0000000000000000000000000000000000000000000000000000000000000000'::bytea;
comment on view "business"."page" is 'Pages by scheme, lower-case host and path; query and fragment are no part of a page. Current state.';
comment on column "business"."page"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "business"."page"."page" is 'The page: scheme, lower-case host and path, without query and fragment.';
comment on column "business"."page"."first_seen" is 'When the vault first heard of it: the time of the load.';
comment on column "business"."page"."last_changed" is 'When the vault last learned something new about it; null: nothing but its key is known.';
comment on column "business"."page"."title" is 'Title of the page.';
grant select on "business"."page" to "mainstem_api", "mainstem_worker";

create or replace view "business"."campaign" with (security_invoker = true) as
select h."tenant_id" as "tenant_id",
       h."utm_source" as "utm_source",
       h."utm_medium" as "utm_medium",
       h."utm_campaign" as "utm_campaign",
       h."load_ts" as "first_seen"
from "vault"."hub_campaign" h
where h."campaign_hk" <> '\x0000000000000000000000000000000000000000000000000000000000000000'::bytea;
comment on view "business"."campaign" is 'Campaigns by utm_source, utm_medium and utm_campaign; a part that was not given is null.';
comment on column "business"."campaign"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "business"."campaign"."utm_source" is 'utm_source of the address: who sent the visitor.';
comment on column "business"."campaign"."utm_medium" is 'utm_medium of the address: by which means.';
comment on column "business"."campaign"."utm_campaign" is 'utm_campaign of the address: for which campaign.';
comment on column "business"."campaign"."first_seen" is 'When the vault first heard of it: the time of the load.';
grant select on "business"."campaign" to "mainstem_api", "mainstem_worker";

create or replace view "business"."session_visitor" with (security_invoker = true) as
select h."tenant_id" as "tenant_id",
       k1."session_bk" as "session",
       k2."visitor_bk" as "visitor",
       h."load_ts" as "first_seen"
from "vault"."lnk_session_visitor" h
join "vault"."hub_session" k1 on k1."tenant_id" = h."tenant_id" and k1."session_hk" = h."session_hk"
join "vault"."hub_visitor" k2 on k2."tenant_id" = h."tenant_id" and k2."visitor_hk" = h."visitor_hk";
comment on view "business"."session_visitor" is 'Which visitors a session was seen with; more than one when a visitor signed in on the way.';
comment on column "business"."session_visitor"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "business"."session_visitor"."session" is 'The session id that the sender gave; null: none.';
comment on column "business"."session_visitor"."visitor" is 'Key of the visitor, made at intake: v:<visitor id>, u:<user id> or h:<daily keyed hash>.';
comment on column "business"."session_visitor"."first_seen" is 'When the vault first heard of it: the time of the load.';
grant select on "business"."session_visitor" to "mainstem_api", "mainstem_worker";

create or replace view "business"."page_history" with (security_invoker = true) as
select h."tenant_id" as "tenant_id",
       h."page_bk" as "page",
       s."load_ts" as "valid_from",
       s.valid_to as "valid_to",
       s."rsrc" as "source",
       s."title" as "title"
from "vault"."hub_page" h
cross join lateral (
  select t.*, lead(t."load_ts") over (order by t."load_ts", t."raw_id") as valid_to
  from "vault"."sat_page" t where t."tenant_id" = h."tenant_id" and t."page_hk" = h."page_hk"
) s
where h."page_hk" <> '\x0000000000000000000000000000000000000000000000000000000000000000'::bytea;
comment on view "business"."page_history" is 'Title of a page over time, as visitors'' browsers reported it. One row per version.';
comment on column "business"."page_history"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "business"."page_history"."page" is 'The page: scheme, lower-case host and path, without query and fragment.';
comment on column "business"."page_history"."valid_from" is 'Since when this was known: the time of the load that brought it.';
comment on column "business"."page_history"."valid_to" is 'Until when it was the last thing known; null: it still is.';
comment on column "business"."page_history"."source" is 'Where it came from: the source of the event.';
comment on column "business"."page_history"."title" is 'Title of the page.';
grant select on "business"."page_history" to "mainstem_api", "mainstem_worker";

create or replace view "business"."visitor_device_history" with (security_invoker = true) as
select h."tenant_id" as "tenant_id",
       h."visitor_bk" as "visitor",
       s."load_ts" as "valid_from",
       s.valid_to as "valid_to",
       s."rsrc" as "source",
       s."device" as "device",
       s."os" as "os",
       s."browser" as "browser",
       s."is_bot" as "is_bot",
       s."bot_reason" as "bot_reason"
from "vault"."hub_visitor" h
cross join lateral (
  select t.*, lead(t."load_ts") over (order by t."load_ts", t."raw_id") as valid_to
  from "vault"."sat_visitor_device" t where t."tenant_id" = h."tenant_id" and t."visitor_hk" = h."visitor_hk"
) s
where h."visitor_hk" <> '\x0000000000000000000000000000000000000000000000000000000000000000'::bytea;
comment on view "business"."visitor_device_history" is 'Device of a visitor over time, as read from the user agent. One row per version.';
comment on column "business"."visitor_device_history"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "business"."visitor_device_history"."visitor" is 'Key of the visitor, made at intake: v:<visitor id>, u:<user id> or h:<daily keyed hash>.';
comment on column "business"."visitor_device_history"."valid_from" is 'Since when this was known: the time of the load that brought it.';
comment on column "business"."visitor_device_history"."valid_to" is 'Until when it was the last thing known; null: it still is.';
comment on column "business"."visitor_device_history"."source" is 'Where it came from: the source of the event.';
comment on column "business"."visitor_device_history"."device" is 'Kind of device, as read from the user agent: desktop, mobile, tablet, bot, other or unknown.';
comment on column "business"."visitor_device_history"."os" is 'Operating system, as read from the user agent.';
comment on column "business"."visitor_device_history"."browser" is 'Browser, as read from the user agent.';
comment on column "business"."visitor_device_history"."is_bot" is 'Whether it is a program that only looks like a visitor.';
comment on column "business"."visitor_device_history"."bot_reason" is 'Why it was judged to be a bot.';
grant select on "business"."visitor_device_history" to "mainstem_api", "mainstem_worker";

create or replace view "business"."site_event" with (security_invoker = true) as
select f."tenant_id" as "tenant_id",
       f."received_at" as "received_at",
       f."event_uid" as "event_uid",
       f."occurred_at" as "occurred_at",
       f."load_ts" as "loaded_at",
       f."raw_id" as "raw_id",
       f."rsrc" as "source",
       f."kind" as "kind",
       f."flags" as "flags",
       k1."visitor_bk" as "visitor",
       k3."page_bk" as "page",
       f."session_bk" as "session",
       f."user_id" as "user_id",
       f."event_type" as "event_type",
       f."page_url" as "page_url",
       f."page_host" as "page_host",
       f."page_path" as "page_path",
       f."page_title" as "page_title",
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
       f."language" as "language",
       f."screen" as "screen",
       f."properties" as "properties"
from "vault"."nhl_site_event" f
left join "vault"."hub_visitor" k1 on k1."tenant_id" = f."tenant_id" and k1."visitor_hk" = f."visitor_hk" and f."visitor_hk" <> '\x0000000000000000000000000000000000000000000000000000000000000000'::bytea
left join "vault"."hub_page" k3 on k3."tenant_id" = f."tenant_id" and k3."page_hk" = f."page_hk" and f."page_hk" <> '\x0000000000000000000000000000000000000000000000000000000000000000'::bytea;
comment on view "business"."site_event" is 'Site events: page views, clicks and whatever else the site''s pages send.';
comment on column "business"."site_event"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "business"."site_event"."received_at" is 'When the event was accepted.';
comment on column "business"."site_event"."event_uid" is 'Identity of the event: from its message id where the sender gave one.';
comment on column "business"."site_event"."occurred_at" is 'When it happened, as the sender says, within the limits set for clocks.';
comment on column "business"."site_event"."loaded_at" is 'Time of the load that brought the row; strictly increasing per lane.';
comment on column "business"."site_event"."raw_id" is 'The raw event that brought the row: raw.event, while its day is kept.';
comment on column "business"."site_event"."source" is 'Where it came from: the source of the event.';
comment on column "business"."site_event"."kind" is 'Kind of the event, in dotted words.';
comment on column "business"."site_event"."flags" is 'Bits about how it came in: 1 time was in the future, 2 clock skew corrected, 4 server''s agent, 8 no time given, 16 sealed personal data.';
comment on column "business"."site_event"."visitor" is 'Key of the visitor, made at intake: v:<visitor id>, u:<user id> or h:<daily keyed hash>.';
comment on column "business"."site_event"."page" is 'The page: scheme, lower-case host and path, without query and fragment.';
comment on column "business"."site_event"."session" is 'The session id that the sender gave; null: none.';
comment on column "business"."site_event"."user_id" is 'The signed-in user''s id that the sender gave.';
comment on column "business"."site_event"."event_type" is 'What happened, in the sender''s word: page_view, click, …';
comment on column "business"."site_event"."page_url" is 'Address of the page, as sent.';
comment on column "business"."site_event"."page_host" is 'Host of the page, in lower case.';
comment on column "business"."site_event"."page_path" is 'Path of the page.';
comment on column "business"."site_event"."page_title" is 'Title of the page at that moment.';
comment on column "business"."site_event"."referrer_url" is 'Address of the page before, where the browser tells it.';
comment on column "business"."site_event"."referrer_host" is 'Host of the page before; null: none, or the site itself.';
comment on column "business"."site_event"."channel" is 'How the visitor came: campaign, search, social, referral, internal or direct.';
comment on column "business"."site_event"."utm_source" is 'utm_source of the address: who sent the visitor.';
comment on column "business"."site_event"."utm_medium" is 'utm_medium of the address: by which means.';
comment on column "business"."site_event"."utm_campaign" is 'utm_campaign of the address: for which campaign.';
comment on column "business"."site_event"."utm_term" is 'utm_term of the address: for which search term.';
comment on column "business"."site_event"."utm_content" is 'utm_content of the address: by which variant.';
comment on column "business"."site_event"."device" is 'Kind of device, as read from the user agent: desktop, mobile, tablet, bot, other or unknown.';
comment on column "business"."site_event"."os" is 'Operating system, as read from the user agent.';
comment on column "business"."site_event"."browser" is 'Browser, as read from the user agent.';
comment on column "business"."site_event"."is_bot" is 'Whether it is a program that only looks like a visitor.';
comment on column "business"."site_event"."bot_reason" is 'Why it was judged to be a bot.';
comment on column "business"."site_event"."ip" is 'Address after IP_MODE: truncated, salted, kept or null.';
comment on column "business"."site_event"."language" is 'Language that the browser prefers.';
comment on column "business"."site_event"."screen" is 'Size of the screen, width x height.';
comment on column "business"."site_event"."properties" is 'Further properties that the sender gave.';
grant select on "business"."site_event" to "mainstem_api", "mainstem_worker";

create or replace view "business"."customer" with (security_invoker = true) as
select h."tenant_id" as "tenant_id",
       h."customer_bk" as "customer",
       h."load_ts" as "first_seen"
from "vault"."hub_customer" h
where h."customer_hk" <> '\x0000000000000000000000000000000000000000000000000000000000000000'::bytea;
comment on view "business"."customer" is 'People by their random subject id; who that is, only their sealed satellite says.';
comment on column "business"."customer"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "business"."customer"."customer" is 'Random id of a person: its subject id, which says nothing about them.';
comment on column "business"."customer"."first_seen" is 'When the vault first heard of it: the time of the load.';
grant select on "business"."customer" to "mainstem_api", "mainstem_worker";

create or replace view "business"."customer_visitor" with (security_invoker = true) as
select h."tenant_id" as "tenant_id",
       k1."customer_bk" as "customer",
       k2."visitor_bk" as "visitor",
       h."load_ts" as "first_seen"
from "vault"."lnk_customer_visitor" h
join "vault"."hub_customer" k1 on k1."tenant_id" = h."tenant_id" and k1."customer_hk" = h."customer_hk"
join "vault"."hub_visitor" k2 on k2."tenant_id" = h."tenant_id" and k2."visitor_hk" = h."visitor_hk";
comment on view "business"."customer_visitor" is 'Which visitors said who they are, and who they said.';
comment on column "business"."customer_visitor"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "business"."customer_visitor"."customer" is 'Random id of a person: its subject id, which says nothing about them.';
comment on column "business"."customer_visitor"."visitor" is 'Key of the visitor, made at intake: v:<visitor id>, u:<user id> or h:<daily keyed hash>.';
comment on column "business"."customer_visitor"."first_seen" is 'When the vault first heard of it: the time of the load.';
grant select on "business"."customer_visitor" to "mainstem_api", "mainstem_worker";

create or replace view "business"."event" with (security_invoker = true) as
select f."tenant_id" as "tenant_id",
       f."received_at" as "received_at",
       f."event_uid" as "event_uid",
       f."occurred_at" as "occurred_at",
       f."load_ts" as "loaded_at",
       f."raw_id" as "raw_id",
       f."rsrc" as "source",
       f."kind" as "kind",
       f."flags" as "flags",
       k1."customer_bk" as "customer",
       f."subject" as "subject",
       f."data" as "data"
from "vault"."nhl_event" f
left join "vault"."hub_customer" k1 on k1."tenant_id" = f."tenant_id" and k1."customer_hk" = f."customer_hk" and f."customer_hk" <> '\x0000000000000000000000000000000000000000000000000000000000000000'::bytea;
comment on view "business"."event" is 'Events of all other kinds, as they came.';
comment on column "business"."event"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "business"."event"."received_at" is 'When the event was accepted.';
comment on column "business"."event"."event_uid" is 'Identity of the event: from its message id where the sender gave one.';
comment on column "business"."event"."occurred_at" is 'When it happened, as the sender says, within the limits set for clocks.';
comment on column "business"."event"."loaded_at" is 'Time of the load that brought the row; strictly increasing per lane.';
comment on column "business"."event"."raw_id" is 'The raw event that brought the row: raw.event, while its day is kept.';
comment on column "business"."event"."source" is 'Where it came from: the source of the event.';
comment on column "business"."event"."kind" is 'Kind of the event, in dotted words.';
comment on column "business"."event"."flags" is 'Bits about how it came in: 1 time was in the future, 2 clock skew corrected, 4 server''s agent, 8 no time given, 16 sealed personal data.';
comment on column "business"."event"."customer" is 'Random id of a person: its subject id, which says nothing about them.';
comment on column "business"."event"."subject" is 'What the event is about, in the words of its kind.';
comment on column "business"."event"."data" is 'What the sender said, as it came.';
grant select on "business"."event" to "mainstem_api", "mainstem_worker";
