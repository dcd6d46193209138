-- Site tracking: sessions and roll-ups, kept by the load (mainstem/site/load.sql), and the SQL contract.

create schema if not exists api;
comment on schema api is 'SQL functions for senders that speak SQL.';
grant usage on schema api to mainstem_api, mainstem_worker;

-- sessions

create table business.session (
  tenant_id     integer not null,
  session_id    uuid not null,
  explicit      boolean not null,
  session_hk    bytea not null,
  visitor_hk    bytea not null,
  is_bot        boolean not null,
  started_at    timestamptz not null,
  ended_at      timestamptz not null,
  first_uid     uuid not null,
  events        integer not null,
  page_views    integer not null,
  entry_at      timestamptz,
  entry_uid     uuid,
  entry_page    text,
  exit_at       timestamptz,
  exit_uid      uuid,
  exit_page     text,
  referrer_host text,
  channel       text not null,
  campaign_hk   bytea not null,
  utm_source    text,
  utm_medium    text,
  utm_campaign  text,
  device        text not null,
  os            text,
  browser       text,
  duration_ms   bigint generated always as ((extract(epoch from ended_at - started_at) * 1000)::bigint) stored,
  -- as GA4 has it: neither a second page view nor ten seconds
  is_bounce     boolean generated always as (page_views < 2 and ended_at - started_at < interval '10 seconds') stored,
  primary key (tenant_id, session_id),
  constraint session_times_check check (started_at <= ended_at),
  constraint session_counts_check check (events > 0 and page_views between 0 and events)
) with (fillfactor = 80);
comment on table business.session is
  'Visits. Events with a session id: one session per id. Others: per visitor, a pause of more than 30 minutes parts.';
comment on column business.session.session_id is
  'Of an explicit session from its session_hk; else the uid of one of its events, kept when it grows or merges.';
comment on column business.session.first_uid is
  'Its first event by (occurred_at, event_uid): origin of visitor, referrer, campaign and device.';
-- led by the visitor, whose hash holds the tenant: the one index that the load's probes can use
create index session_visitor_idx on business.session (visitor_hk, is_bot, started_at) where not explicit;

-- The parts of a session that come from its first event, and one page view in it: units of the merge in load.sql.
create type business.session_origin as (
  session_hk bytea, visitor_hk bytea, is_bot boolean, referrer_host text, channel text, campaign_hk bytea,
  utm_source text, utm_medium text, utm_campaign text, device text, os text, browser text);
create type business.session_view as (at timestamptz, uid uuid, page text);

-- Every session of a tenant computed anew from its facts, without a look at business.session: what the
-- sessions kept by the load must equal, but for session_id.
create function business.sessions_from_scratch(p_tenant_id integer)
returns table (
  explicit boolean, session_hk bytea, visitor_hk bytea, is_bot boolean, started_at timestamptz, ended_at timestamptz,
  first_uid uuid, events integer, page_views integer, entry_page text, exit_page text, referrer_host text,
  channel text, campaign_hk bytea, utm_source text, utm_medium text, utm_campaign text, device text, os text,
  browser text)
language sql stable
as $$
  with fact as (
    select f.*, p.page_bk,
           f.session_hk <> decode(repeat('00', 32), 'hex') as explicit,
           lag(f.occurred_at) over (
             partition by f.visitor_hk, f.is_bot, f.session_hk order by f.occurred_at, f.event_uid) as before
    from vault.nhl_site_event f
    join vault.hub_page p on p.tenant_id = f.tenant_id and p.page_hk = f.page_hk
    where f.tenant_id = p_tenant_id
  ), numbered as (
    select f.*,
           case when f.explicit then 0 else
             count(*) filter (where f.before is null or f.occurred_at > f.before + interval '30 minutes') over (
               partition by f.visitor_hk, f.is_bot, f.session_hk order by f.occurred_at, f.event_uid)
           end as visit
    from fact f
  ), ranked as (
    select n.*,
           dense_rank() over (order by n.explicit, n.session_hk, case when not n.explicit then n.visitor_hk end,
                              case when not n.explicit then n.is_bot end, n.visit) as session
    from numbered n
  ), first as (
    select distinct on (r.session) r.* from ranked r order by r.session, r.occurred_at, r.event_uid
  ), entry as (
    select distinct on (r.session) r.session, r.page_bk from ranked r
    where r.kind = 'page.viewed' order by r.session, r.occurred_at, r.event_uid
  ), exit as (
    select distinct on (r.session) r.session, r.page_bk from ranked r
    where r.kind = 'page.viewed' order by r.session, r.occurred_at desc, r.event_uid desc
  ), total as (
    select r.session, min(r.occurred_at) as started_at, max(r.occurred_at) as ended_at, count(*)::integer as events,
           count(*) filter (where r.kind = 'page.viewed')::integer as page_views
    from ranked r group by r.session
  )
  select f.explicit, f.session_hk, f.visitor_hk, f.is_bot, t.started_at, t.ended_at, f.event_uid, t.events,
         t.page_views, en.page_bk, ex.page_bk, f.referrer_host, f.channel, f.campaign_hk, f.utm_source, f.utm_medium,
         f.utm_campaign, f.device, f.os, f.browser
  from total t
  join first f using (session)
  left join entry en using (session)
  left join exit ex using (session)
  order by t.started_at, f.event_uid
$$;
comment on function business.sessions_from_scratch(integer) is
  'The sessions of a tenant computed anew from vault.nhl_site_event: the check of business.session.';

-- roll-ups

create table business.site_hour (
  tenant_id   integer not null,
  hour        timestamptz not null,
  is_bot      boolean not null,
  events      bigint not null default 0,
  page_views  bigint not null default 0,
  visitors    bigint not null default 0,
  sessions    bigint not null default 0,
  bounces     bigint not null default 0,
  duration_ms bigint not null default 0,
  primary key (tenant_id, hour, is_bot)
) with (fillfactor = 50);
comment on table business.site_hour is 'Site traffic per hour in which it occurred.';
comment on column business.site_hour.visitors is
  'Visitors whose first event of the UTC day fell into this hour: over the hours of a day, its unique visitors.';
comment on column business.site_hour.sessions is 'Sessions that started in this hour; bounces and duration_ms are theirs.';

create table business.visitor_day (
  tenant_id  integer not null,
  day        date not null,
  visitor_hk bytea not null,
  is_bot     boolean not null,
  first_at   timestamptz not null,
  primary key (tenant_id, day, visitor_hk, is_bot)
);
comment on table business.visitor_day is 'Who came on which UTC day, and when first.';

create table business.site_day (
  tenant_id  integer not null,
  dimension  text not null constraint site_day_dimension_check check (dimension in (
               'page', 'referrer', 'channel', 'source', 'medium', 'campaign', 'device', 'os', 'browser', 'event_type')),
  day        date not null,
  value      text not null,
  is_bot     boolean not null,
  events     bigint not null,
  page_views bigint not null,
  primary key (tenant_id, dimension, day, value, is_bot)
) with (fillfactor = 80);
comment on table business.site_day is 'Site traffic per UTC day and value of each dimension; events without a value count nowhere.';

grant select, insert, update, delete on business.session, business.site_hour, business.visitor_day, business.site_day
  to mainstem_worker;
grant select on business.session, business.site_hour, business.visitor_day, business.site_day to mainstem_api;
select platform.protect(t) from unnest(array[
  'business.session', 'business.site_hour', 'business.visitor_day', 'business.site_day']::regclass[]) t;

-- the SQL contract

-- Recent batches of a tenant: ids come in blocks per process, so their order is not the order of time.
create index batch_recent_idx on raw.batch (tenant_id, committed_at desc, batch_id desc);

-- As mainstem.platform.ids.event_uid: UUIDv8 of SHA-256 over tenant and length-prefixed parts.
create function raw.event_uid(p_tenant_id integer, p_source text, p_message_id text) returns uuid
language sql immutable strict parallel safe
as $$
  select encode(set_byte(set_byte(h.d, 6, (get_byte(h.d, 6) & 15) | 128), 8, (get_byte(h.d, 8) & 63) | 128), 'hex')::uuid
  from (select substr(sha256(convert_to(format('%s:%s:%s:%s', p_tenant_id, octet_length(p_source), p_source,
                                               p_message_id), 'UTF8')), 1, 16) as d) h
$$;
comment on function raw.event_uid(integer, text, text) is 'Identity of an event whose sender gave a message id.';

create table api.secret (secret text not null);
comment on table api.secret is 'Keys the visitor keys that are made in SQL; readable by nobody but its owner.';
insert into api.secret values (gen_random_uuid()::text || gen_random_uuid()::text);
alter table api.secret enable row level security;

-- The cookieless key of a visitor: the same address and agent give the same key within one UTC day.
create function api.visitor_key(p_tenant_id integer, p_ip inet, p_user_agent text, p_at timestamptz) returns text
language sql stable security definer set search_path = api, pg_temp
as $$
  select 'h:' || substr(encode(sha256(convert_to(concat_ws('|', s.secret, (p_at at time zone 'UTC')::date, p_tenant_id,
                                                           host(p_ip), p_user_agent), 'UTF8')), 'hex'), 1, 32)
  from secret s
$$;

-- A text as time, null where it is none or one that no event can have.
create function api.event_time(p_text text) returns timestamptz
language plpgsql stable
as $$
declare
  v_at timestamptz;
begin
  v_at := p_text::timestamptz;
  return case when v_at between '1970-01-01 00:00:00+00' and '9999-01-01 00:00:00+00' then v_at end;
exception
  when data_exception then return null;
end $$;

-- The network of an address in text, as IP_MODE=truncate keeps it: /24 or /48; null where the text is no address.
create function api.network_of(p_text text) returns text
language plpgsql immutable
as $$
declare
  v_ip inet;
begin
  v_ip := p_text::inet;
  return host(network(set_masklen(v_ip, case family(v_ip) when 4 then 24 else 48 end)));
exception
  when data_exception then return null;
end $$;

-- Records one site event in the caller's transaction. {success, message, event_id}; a refusal is success false.
create function api.track_site_event(
  p_ip_address inet, p_user_agent text, p_page_url text, p_event_type varchar default 'page_view',
  p_event_data jsonb default '{}')
returns jsonb
language plpgsql
as $$
declare
  v_tenant  integer := platform.current_tenant_id();
  v_unset   boolean := v_tenant is null;
  v_details jsonb := coalesce(nullif(p_event_data, 'null'), '{}');
  v_type    text := coalesce(nullif(btrim(p_event_type), ''), 'page_view');
  v_slug    text := btrim(regexp_replace(lower(v_type), '[^a-z0-9_]+', '_', 'g'), '_');
  v_kind    text := case when v_type = 'page_view' then 'page.viewed' else 'site.' || coalesce(nullif(v_slug, ''), 'event') end;
  v_now     timestamptz := clock_timestamp();
  v_at      timestamptz;
  v_flags   integer := 0;
  v_url     text;
  v_message text;
  v_visitor text;
  v_session text;
  v_uid     uuid;
  v_data    jsonb;
  v_refusal text;
begin
  if jsonb_typeof(v_details) <> 'object' then
    v_details := jsonb_build_object('value', v_details);
  end if;
  -- no more of an address than the column ip keeps
  if v_details ? 'ip_address' then
    v_details := jsonb_set(v_details, '{ip_address}', coalesce(to_jsonb(api.network_of(v_details ->> 'ip_address')), 'null'));
  end if;
  v_url := coalesce(nullif(btrim(p_page_url), ''), nullif(v_details ->> 'page_url', ''), nullif(v_details ->> 'url', ''));
  v_message := nullif(v_details ->> 'event_id', '');
  v_session := nullif(v_details ->> 'session_id', '');
  v_visitor := coalesce('v:' || nullif(v_details ->> 'visitor_id', ''), 'u:' || nullif(v_details ->> 'user_id', ''));
  v_data := jsonb_strip_nulls(jsonb_build_object(
      'page_url', v_url, 'event_type', v_type, 'session_id', v_session, 'user_id', v_details ->> 'user_id',
      'event_id', v_message, 'timestamp', v_details ->> 'timestamp'))
    || jsonb_build_object('event_data', v_details);
  v_refusal := case
    when v_unset and current_setting('mainstem.tenant', true) <> '' then 'mainstem.tenant names no tenant.'
    when v_kind = 'page.viewed' and v_url is null then 'page_url is required for a page_view.'
    when length(v_url) > 4096 then 'page_url must be a string of at most 4,096 characters.'
    when length(v_type) > 100 then 'event_type must be a string of at most 100 characters.'
    when greatest(length(v_message), length(v_session), length(v_visitor) - 2) > 128
      then 'event_id, session_id, user_id and visitor_id must be strings of at most 128 characters.'
    when octet_length(v_data::text) > 65536 then 'The event is larger than 64 KB.'
  end;
  if v_refusal is not null then
    return jsonb_build_object('success', false, 'message', v_refusal, 'event_id', v_message);
  end if;
  v_tenant := platform.acting_tenant_id();
  v_at := api.event_time(v_details ->> 'timestamp');
  if v_at is null then
    v_at := v_now;
    v_flags := 8;
  elsif v_at > v_now + interval '5 minutes' then
    v_at := v_now;
    v_flags := 1;
  end if;
  v_uid := coalesce(raw.event_uid(v_tenant, 'site', v_message), gen_random_uuid());
  v_visitor := coalesce(v_visitor, api.visitor_key(v_tenant, p_ip_address, p_user_agent, v_at));
  if v_unset then
    perform set_config('mainstem.tenant_id', v_tenant::text, true);
  end if;
  perform raw.append(v_tenant, jsonb_build_array(jsonb_build_object(
    'kind', v_kind, 'event_uid', v_uid, 'occurred_at', v_at, 'source', 'site', 'message_id', v_message,
    'subject', v_session, 'visitor', v_visitor,
    'ip', api.network_of(host(p_ip_address)),
    'user_agent', left(p_user_agent, 512), 'flags', v_flags, 'data', v_data)), 'sql');
  if v_unset then
    perform set_config('mainstem.tenant_id', '', true);
  end if;
  return jsonb_build_object('success', true, 'message', 'Event tracked successfully',
                            'event_id', coalesce(v_message, v_uid::text));
end $$;
comment on function api.track_site_event(inet, text, text, varchar, jsonb) is
  'Records one site event for the tenant of the session setting; durable with the caller''s commit.';

-- Whether a visible row was written by the running transaction, which the loader can't see before the commit.
create function staging.is_own(p_xmin xid) returns boolean
language sql volatile
as $$
  -- visible while its writer is in progress: the writer is this transaction (or a savepoint of it).
  -- The row has 32 bits of the id; the full one is that nearest to the newest.
  select pg_xact_status(n.full::text::xid8) = 'in progress'
  from (select m.newest + (p_xmin::text::bigint - m.newest + 2147483648) % 4294967296 - 2147483648 as full
        from (select pg_snapshot_xmax(pg_current_snapshot())::text::bigint as newest) m) n
  where n.full > 2
$$;

-- Waits until the batches of a tenant that are committed now are loaded, at most so long; counts what became of them.
create function staging.process_pending(p_tenant_id integer, p_wait interval default '10 seconds')
returns table (total bigint, staged bigint, loaded bigint, rejected bigint, pending bigint)
language plpgsql
as $$
#variable_conflict use_column
declare
  v_until   constant timestamptz := clock_timestamp() + p_wait;
  v_unset   constant boolean := platform.current_tenant_id() is null;
  v_batches bigint[];
begin
  if v_unset then
    perform set_config('mainstem.tenant_id', p_tenant_id::text, true);
  end if;
  select array_agg(b.batch_id) into v_batches
  from raw.batch b
  where b.tenant_id = p_tenant_id and b.loaded_at is null and staging.is_own(b.xmin) is not true;
  -- under repeatable read no statement of this transaction would ever see the load
  while v_batches is not null and clock_timestamp() < v_until
    and current_setting('transaction_isolation') = 'read committed'
    and exists (select from raw.batch b where b.batch_id = any (v_batches) and b.loaded_at is null)
  loop
    perform pg_sleep(0.015);
  end loop;
  return query
    select coalesce(sum(b.loaded + b.duplicates + b.rejected), 0)::bigint,
           coalesce(sum(b.loaded + b.duplicates), 0)::bigint, coalesce(sum(b.loaded), 0)::bigint,
           coalesce(sum(b.rejected), 0)::bigint, coalesce(sum(b.events) filter (where b.loaded_at is null), 0)::bigint
    from raw.batch b where b.batch_id = any (v_batches);
  if v_unset then
    perform set_config('mainstem.tenant_id', '', true);
  end if;
end $$;
comment on function staging.process_pending(integer, interval) is
  'Waits for the loader; the sender''s own uncommitted events are left out, because nobody else sees them yet.';

create function staging.processing_summary(p_total bigint, p_staged bigint, p_loaded bigint, p_pending bigint) returns text
language sql immutable
as $$
  select case when p_total = 0 and p_pending = 0 then 'No processing needed - all events up to date'
         else format('Processed: %s total (%s raw→staging, %s staging→business)', p_total, p_staged, p_loaded)
              || case when p_pending > 0 then format('; %s still pending, is the loader running?', p_pending) else '' end
         end
$$;

create function staging.auto_process_if_needed() returns text
language sql volatile
as $$
  select staging.processing_summary(p.total, p.staged, p.loaded, p.pending)
  from staging.process_pending(platform.acting_tenant_id()) p
$$;
comment on function staging.auto_process_if_needed() is 'Waits (up to 10 s) until all committed events are loaded.';

create function staging.trigger_pipeline_now() returns jsonb
language plpgsql volatile
as $$
declare
  v_at constant timestamptz := clock_timestamp();
  p    record;
begin
  select * into p from staging.process_pending(platform.acting_tenant_id());
  return jsonb_build_object('success', p.pending = 0, 'triggered_at', v_at, 'pending', p.pending, 'results',
    jsonb_build_object(
      'total_processed', p.total, 'raw_to_staging_count', p.staged, 'staging_to_business_count', p.loaded,
      'total_success_count', p.staged, 'total_error_count', p.rejected,
      'processing_summary', staging.processing_summary(p.total, p.staged, p.loaded, p.pending)));
end $$;
comment on function staging.trigger_pipeline_now() is 'As auto_process_if_needed(), with the counts as JSON.';

create function staging.get_pipeline_status()
returns table (status_type text, metric_name text, metric_value numeric, last_updated timestamptz)
language plpgsql volatile
as $$
#variable_conflict use_column
declare
  v_tenant constant integer := platform.acting_tenant_id();
  v_unset  constant boolean := platform.current_tenant_id() is null;
  v_today  constant timestamptz := date_trunc('day', clock_timestamp(), 'UTC');
begin
  if v_unset then
    perform set_config('mainstem.tenant_id', v_tenant::text, true);
  end if;
  return query
    select 'RAW_LAYER', 'pending_events', coalesce(sum(b.events), 0)::numeric,
           coalesce(max(b.committed_at), clock_timestamp())
    from raw.batch b where b.tenant_id = v_tenant and b.loaded_at is null;
  -- one transaction takes an event from staging to business, so nothing ever rests between them
  return query select 'STAGING_LAYER', 'unprocessed_to_business', 0::numeric, clock_timestamp();
  return query
    select 'BUSINESS_LAYER', 'events_today', coalesce(sum(m.loaded), 0)::numeric, coalesce(max(m.minute), clock_timestamp())
    from business.pipeline_minute m where m.tenant_id = v_tenant and m.minute >= v_today;
  return query
    select 'PERFORMANCE', 'avg_processing_time_minutes',
           coalesce(round(avg(extract(epoch from greatest(b.loaded_at - b.committed_at, '0'))) / 60, 6), 0),
           coalesce(max(b.loaded_at), clock_timestamp())
    from (select r.loaded_at, r.committed_at from raw.batch r where r.tenant_id = v_tenant
          order by r.committed_at desc, r.batch_id desc limit 100) b
    where b.loaded_at is not null;
  if v_unset then
    perform set_config('mainstem.tenant_id', '', true);
  end if;
end $$;
comment on function staging.get_pipeline_status() is 'Four figures of the pipeline, from the ledger and the roll-ups.';

-- One field of an event, by its path, as text: `json` keeps escapes that `text` can't hold (NUL, half a surrogate pair).
create function staging.field(p_data json, variadic p_path text[]) returns text
language sql immutable
as $$
  select nullif(case when position('\u' in p_data::text) = 0 then p_data #>> p_path
    else regexp_replace(p_data::text, '\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})', '\\ufffd', 'g')::json #>> p_path end, '')
$$;

create view staging.pipeline_dashboard with (security_invoker = true) as
select coalesce(e.message_id, e.event_uid::text) as event_id,
       e.raw_id as raw_event_id,
       coalesce(staging.field(e.data, 'event_type'),
                case when e.kind = 'page.viewed' then 'page_view' else e.kind end) as raw_event_type,
       coalesce(staging.field(e.data, 'page_url'), staging.field(e.data, 'url'),
                staging.field(e.data, 'event_data', 'page_url'), staging.field(e.data, 'event_data', 'url')) as page_url,
       case when e.kind like 'page.%' or e.kind like 'site.%'
            then coalesce(e.subject, staging.field(e.data, 'session_id')) end as session_id,
       e.received_at as raw_load_date,
       s.status as staging_status,
       case s.status when 'PROCESSED' then '✅ Complete Pipeline' when 'PENDING' then 'Pending'
                     when 'REJECTED' then 'Rejected' else 'Duplicate' end as business_status,
       case when s.status <> 'PENDING'
            then round((extract(epoch from greatest(b.loaded_at - e.received_at, '0')) * 1000)::numeric, 1)::float8
       end as processing_ms,
       r.reason as error_message
from raw.event e
left join lateral (
  select l.loaded_at from raw.batch l
  where l.tenant_id = e.tenant_id and l.batch_id <= e.raw_id order by l.batch_id desc limit 1) b on true
-- looked up event by event: joined freely, all messages or rejects there ever were may be read for ten events
left join lateral (
  select s.raw_id from vault.event_seen s
  where s.tenant_id = e.tenant_id and s.event_uid = e.event_uid limit 1) g on true
left join lateral (
  select x.raw_id, x.reason from staging.rejected x
  where x.tenant_id = e.tenant_id and x.raw_id = e.raw_id limit 1) r on true
cross join lateral (
  select case when b.loaded_at is null then 'PENDING' when r.raw_id is not null then 'REJECTED'
              when g.raw_id = e.raw_id then 'PROCESSED' else 'DUPLICATE' end as status) s
-- in a subquery: asked for once, not for every row of every tenant
where e.tenant_id = (select platform.acting_tenant_id());
comment on view staging.pipeline_dashboard is 'Each raw event of the acting tenant and how far it came.';
grant select on staging.pipeline_dashboard to mainstem_api, mainstem_worker;

-- The documents' statements name their objects without schema.
do $$
begin
  execute format('alter database %I set search_path = public, api, business, staging, platform', current_database());
exception
  when insufficient_privilege then
    raise warning 'not the owner of database %: set its search_path to public, api, business, staging, platform',
      current_database();
end $$;
