-- The vault: gate, hubs, links, satellites, facts (as `mainstem.vault.model` describes them), the functions of
-- the loader, and the pipeline's roll-ups.

create schema vault;
comment on schema vault is 'Data Vault: what was learned, from where, and when. Rows are only ever added.';
create schema business;
comment on schema business is 'What people ask for: sessions, roll-ups, the pipeline''s own figures.';
grant usage on schema vault, business to mainstem_api, mainstem_worker;

create table vault.event_seen (
  tenant_id integer not null,
  event_uid uuid not null,
  raw_id    bigint not null,
  primary key (tenant_id, event_uid)
);
comment on table vault.event_seen is 'The gate of exactly-once: the raw event that stands for each event uid.';

create table vault.lane (
  lane    integer primary key,
  load_ts timestamptz not null
) with (fillfactor = 10);
comment on table vault.lane is 'Last load time per loader lane.';

-- hubs

create table vault.hub_visitor (
  tenant_id  integer not null,
  visitor_hk bytea not null,
  visitor_bk text not null,
  load_ts    timestamptz not null,
  rsrc       text not null,
  primary key (tenant_id, visitor_hk)
);
comment on table vault.hub_visitor is
  'Visitors by the key made at intake: v:<visitor id>, u:<user id> or h:<daily keyed hash>.';

create table vault.hub_session (
  tenant_id  integer not null,
  session_hk bytea not null,
  session_bk text not null,
  load_ts    timestamptz not null,
  rsrc       text not null,
  primary key (tenant_id, session_hk)
);
comment on table vault.hub_session is 'Sessions by the session id that the sender gave.';

create table vault.hub_page (
  tenant_id integer not null,
  page_hk   bytea not null,
  page_bk   text not null,
  load_ts   timestamptz not null,
  rsrc      text not null,
  primary key (tenant_id, page_hk)
);
comment on table vault.hub_page is
  'Pages by scheme, lower-case host and path; query and fragment are no part of a page.';

create table vault.hub_campaign (
  tenant_id    integer not null,
  campaign_hk  bytea not null,
  utm_source   text,
  utm_medium   text,
  utm_campaign text,
  load_ts      timestamptz not null,
  rsrc         text not null,
  primary key (tenant_id, campaign_hk)
);
comment on table vault.hub_campaign is
  'Campaigns by utm_source, utm_medium and utm_campaign; a part that was not given is null.';

-- links

create table vault.lnk_session_visitor (
  tenant_id  integer not null,
  session_hk bytea not null,
  visitor_hk bytea not null,
  load_ts    timestamptz not null,
  rsrc       text not null,
  primary key (tenant_id, session_hk, visitor_hk)
);
create index lnk_session_visitor_1_idx on vault.lnk_session_visitor (tenant_id, visitor_hk, session_hk);
comment on table vault.lnk_session_visitor is
  'Which visitors a session was seen with; more than one when a visitor signed in on the way.';

-- satellites

create table vault.sat_page (
  tenant_id integer not null,
  page_hk   bytea not null,
  load_ts   timestamptz not null,
  raw_id    bigint not null,
  hashdiff  bytea not null,
  rsrc      text not null,
  title     text,
  primary key (tenant_id, page_hk, load_ts, raw_id)
);
comment on table vault.sat_page is 'Title of a page over time, as visitors'' browsers reported it.';

create table vault.sat_visitor_device (
  tenant_id  integer not null,
  visitor_hk bytea not null,
  load_ts    timestamptz not null,
  raw_id     bigint not null,
  hashdiff   bytea not null,
  rsrc       text not null,
  device     text,
  os         text,
  browser    text,
  is_bot     boolean,
  bot_reason text,
  primary key (tenant_id, visitor_hk, load_ts, raw_id)
);
comment on table vault.sat_visitor_device is 'Device of a visitor over time, as read from the user agent.';

-- facts

create table vault.nhl_site_event (
  tenant_id     integer not null,
  received_at   timestamptz not null,
  event_uid     uuid not null,
  visitor_hk    bytea not null,
  session_hk    bytea not null,
  page_hk       bytea not null,
  campaign_hk   bytea not null,
  occurred_at   timestamptz not null,
  load_ts       timestamptz not null,
  raw_id        bigint not null,
  rsrc          text not null,
  kind          text not null,
  flags         smallint not null,
  session_bk    text,
  user_id       text,
  event_type    text,
  page_url      text,
  page_host     text,
  page_path     text,
  page_title    text,
  referrer_url  text,
  referrer_host text,
  channel       text,
  utm_source    text,
  utm_medium    text,
  utm_campaign  text,
  utm_term      text,
  utm_content   text,
  device        text,
  os            text,
  browser       text,
  is_bot        boolean,
  bot_reason    text,
  ip            text,
  language      text,
  screen        text,
  properties    jsonb,
  primary key (tenant_id, received_at, event_uid)
) partition by range (received_at);
create table vault.nhl_site_event_default partition of vault.nhl_site_event default;
comment on table vault.nhl_site_event is
  'Site events: page views, clicks and whatever else the site''s pages send.';

create table vault.nhl_event (
  tenant_id   integer not null,
  received_at timestamptz not null,
  event_uid   uuid not null,
  occurred_at timestamptz not null,
  load_ts     timestamptz not null,
  raw_id      bigint not null,
  rsrc        text not null,
  kind        text not null,
  flags       smallint not null,
  subject     text,
  data        jsonb not null,
  primary key (tenant_id, received_at, event_uid)
) partition by range (received_at);
create table vault.nhl_event_default partition of vault.nhl_event default;
create index nhl_event_1_idx on vault.nhl_event (tenant_id, kind, occurred_at);
comment on table vault.nhl_event is 'Events of all other kinds, as they came.';

alter table vault.nhl_site_event_default enable row level security;
alter table vault.nhl_event_default enable row level security;

-- Makes the partitions of the months of the days given, of every partitioned fact; returns how many were new.
-- Rows that fell into a default partition move into the new one.
create function vault.ensure_partitions(p_from date, p_to date) returns integer
language plpgsql
as $$
declare
  fact  record;
  month date;
  part  text;
  span  text;
  made  integer := 0;
begin
  perform pg_advisory_xact_lock(hashtext('vault.ensure_partitions'));
  for fact in
    select c.relname as name, a.attname as key
    from pg_partitioned_table p
    join pg_class c on c.oid = p.partrelid and c.relnamespace = 'vault'::regnamespace
    join pg_attribute a on a.attrelid = c.oid and a.attnum = p.partattrs[0]
    where p.partstrat = 'r'
    order by c.relname
  loop
    for month in
      select m::date
      from generate_series(date_trunc('month', p_from::timestamp), p_to::timestamp, interval '1 month') m
    loop
      part := fact.name || '_' || to_char(month, 'YYYYMM');
      continue when to_regclass('vault.' || quote_ident(part)) is not null;
      span := format('from (%L) to (%L)', month::text || ' 00:00+00',
                     (month + interval '1 month')::date::text || ' 00:00+00');
      execute format('create table vault.%I (like vault.%I including defaults including constraints)', part, fact.name);
      execute format('with moved as (delete from vault.%1$I where %2$I >= %3$L and %2$I < %4$L returning *) '
                     'insert into vault.%5$I select * from moved',
                     fact.name || '_default', fact.key, month::text || ' 00:00+00',
                     (month + interval '1 month')::date::text || ' 00:00+00', part);
      execute format('alter table vault.%I attach partition vault.%I for values %s', fact.name, part, span);
      -- without a policy nobody reads a partition past its parent
      execute format('alter table vault.%I enable row level security', part);
      execute format('alter table vault.%I force row level security', part);
      made := made + 1;
    end loop;
  end loop;
  return made;
end $$;
comment on function vault.ensure_partitions(date, date) is
  'Makes the month partitions of every partitioned fact; returns how many were new.';

select vault.ensure_partitions(current_date, (current_date + interval '2 months')::date);

-- Ghost rows stand for "none or unknown", so that joins from facts to hubs need no outer join.
create function vault.add_ghosts() returns trigger
language plpgsql security definer set search_path = vault, pg_temp
as $$
declare
  zero  constant bytea := decode(repeat('00', 32), 'hex');
  dawn  constant timestamptz := '1900-01-01 00:00:00+00';
  maker constant text := 'mainstem';
begin
  insert into hub_visitor values (new.tenant_id, zero, '(unknown)', dawn, maker) on conflict do nothing;
  insert into hub_session values (new.tenant_id, zero, '(unknown)', dawn, maker) on conflict do nothing;
  insert into hub_page values (new.tenant_id, zero, '(unknown)', dawn, maker) on conflict do nothing;
  insert into hub_campaign values (new.tenant_id, zero, null, null, null, dawn, maker) on conflict do nothing;
  insert into sat_page values (new.tenant_id, zero, dawn, 0, zero, maker) on conflict do nothing;
  insert into sat_visitor_device values (new.tenant_id, zero, dawn, 0, zero, maker) on conflict do nothing;
  return null;
end $$;
comment on function vault.add_ghosts() is 'Gives a new tenant its ghost rows.';
create trigger tenant_ghosts after insert on platform.tenant for each row execute function vault.add_ghosts();

-- the loader

-- Locks and returns the oldest waiting batches of a lane, up to a budget of events (the first one whatever its
-- size). Batches that another loader holds are passed over. One row is fetched, so locked, at a time.
create function vault.claim(p_lane integer, p_lanes integer, p_budget integer)
returns table (batch_id bigint, tenant_id integer, events integer, received_from timestamptz,
               received_to timestamptz, origin text)
language plpgsql
as $$
#variable_conflict use_column
declare
  taken integer := 0;
  waiting cursor for
    select b.batch_id, b.tenant_id, b.events, b.received_from, b.received_to, b.origin
    from raw.batch b
    where b.loaded_at is null and b.tenant_id % p_lanes = p_lane
    order by b.batch_id
    for update skip locked;
begin
  open waiting;
  while taken < p_budget loop
    fetch waiting into batch_id, tenant_id, events, received_from, received_to, origin;
    exit when not found;
    taken := taken + events;
    return next;
  end loop;
  close waiting;
end $$;
comment on function vault.claim(integer, integer, integer) is 'Locks waiting batches of a lane for one load.';

-- Waits for the lane, then returns the load time of this transaction: later than every load of the lane before.
create function vault.open_load(p_lane integer) returns timestamptz
language plpgsql
as $$
declare
  v_load_ts timestamptz;
begin
  perform pg_advisory_xact_lock(hashtext('vault.lane'), p_lane);
  insert into vault.lane as l (lane, load_ts) values (p_lane, clock_timestamp())
  on conflict (lane) do update set load_ts = greatest(excluded.load_ts, l.load_ts + interval '1 microsecond')
  returning load_ts into v_load_ts;
  return v_load_ts;
end $$;
comment on function vault.open_load(integer) is 'Takes a lane until commit; returns a strictly increasing load time.';

-- Appends the raw events of rejects again, as new batches of origin replay with the same event uids.
-- Rejects that were replayed before, or whose raw event is gone, are passed over.
create function vault.replay(p_rejected_ids bigint[])
returns table (rejected_id bigint, batch_id bigint)
language plpgsql
as $$
#variable_conflict use_column
declare
  v_now    timestamptz := clock_timestamp();
  v_tenant integer;
  v_batch  bigint;
begin
  create temp table if not exists vault_replay (
    n bigint, rejected_id bigint, tenant_id integer, raw_id bigint, received_at timestamptz
  ) on commit delete rows;
  delete from vault_replay;
  perform from staging.rejected r
  where r.rejected_id = any (p_rejected_ids) order by r.rejected_id for update;
  insert into vault_replay
  select row_number() over (partition by r.tenant_id order by r.raw_id) - 1,
         r.rejected_id, r.tenant_id, r.raw_id, e.received_at
  from staging.rejected r
  cross join lateral (
    select b.* from raw.batch b where b.batch_id <= r.raw_id order by b.batch_id desc limit 1) b
  join raw.event e
    on e.received_at between b.received_from and b.received_to and e.raw_id = r.raw_id
  where r.rejected_id = any (p_rejected_ids) and r.stage = 'load' and r.replayed_at is null;

  for v_tenant in select distinct t.tenant_id from vault_replay t order by t.tenant_id loop
    v_batch := nextval('raw.raw_id_block');
    insert into raw.batch (batch_id, tenant_id, events, origin, received_from, received_to)
    select v_batch, v_tenant, count(*), 'replay', v_now, v_now from vault_replay t where t.tenant_id = v_tenant;
    insert into raw.event (raw_id, received_at, tenant_id, event_uid, kind, occurred_at, source, message_id,
                           subject, visitor, ip, user_agent, flags, data)
    select v_batch + t.n, v_now, e.tenant_id, e.event_uid, e.kind, e.occurred_at, e.source, e.message_id,
           e.subject, e.visitor, e.ip, e.user_agent, e.flags, e.data
    from vault_replay t join raw.event e on e.received_at = t.received_at and e.raw_id = t.raw_id
    where t.tenant_id = v_tenant;
    update staging.rejected r set replayed_at = v_now
    from vault_replay t where t.rejected_id = r.rejected_id and t.tenant_id = v_tenant;
    return query select t.rejected_id, v_batch from vault_replay t where t.tenant_id = v_tenant order by t.n;
  end loop;
  if v_batch is not null then
    perform pg_notify('mainstem_raw', '');
  end if;
end $$;
comment on function vault.replay(bigint[]) is 'Appends the raw events of rejects again; returns their new batches.';

-- the pipeline's own figures, kept by the loader in the load transaction

create table business.pipeline_total (
  tenant_id          integer primary key,
  loaded             bigint not null default 0,
  duplicates         bigint not null default 0,
  rejected           bigint not null default 0,
  latest_received_at timestamptz,
  updated_at         timestamptz not null
) with (fillfactor = 20);
comment on table business.pipeline_total is 'Events per tenant by outcome of their load, since the beginning.';

create table business.pipeline_minute (
  tenant_id       integer not null,
  minute          timestamptz not null,
  loaded          bigint not null default 0,
  duplicates      bigint not null default 0,
  rejected        bigint not null default 0,
  latency_buckets bigint[] not null,
  primary key (tenant_id, minute)
) with (fillfactor = 50);
comment on table business.pipeline_minute is 'Events per tenant and minute of their load.';
comment on column business.pipeline_minute.latency_buckets is
  'Loaded events by milliseconds from received to loaded; bounds in mainstem.vault.latency.';

-- Adds two arrays element by element; the longer one decides the length.
create function business.add_counts(p_a bigint[], p_b bigint[]) returns bigint[]
language sql immutable parallel safe
as $$
  select array_agg(coalesce(u.a, 0) + coalesce(u.b, 0) order by u.n)
  from unnest(p_a, p_b) with ordinality u (a, b, n)
$$;

grant select, insert, update, delete on all tables in schema vault, business to mainstem_worker;
grant select on all tables in schema vault, business to mainstem_api;
revoke all on vault.lane from mainstem_api;
revoke execute on function vault.claim(integer, integer, integer), vault.open_load(integer), vault.replay(bigint[]),
  vault.ensure_partitions(date, date), vault.add_ghosts() from public;
grant execute on function vault.claim(integer, integer, integer), vault.open_load(integer), vault.replay(bigint[]),
  vault.ensure_partitions(date, date) to mainstem_worker;

select platform.protect(t) from unnest(array[
  'vault.event_seen', 'vault.hub_visitor', 'vault.hub_session', 'vault.hub_page', 'vault.hub_campaign',
  'vault.lnk_session_visitor', 'vault.sat_page', 'vault.sat_visitor_device', 'vault.nhl_site_event',
  'vault.nhl_event', 'business.pipeline_total', 'business.pipeline_minute']::regclass[]) t;

-- tenants that are older than the vault
insert into vault.hub_visitor
  select tenant_id, decode(repeat('00', 32), 'hex'), '(unknown)', '1900-01-01 00:00:00+00', 'mainstem'
  from platform.tenant;
insert into vault.hub_session
  select tenant_id, decode(repeat('00', 32), 'hex'), '(unknown)', '1900-01-01 00:00:00+00', 'mainstem'
  from platform.tenant;
insert into vault.hub_page
  select tenant_id, decode(repeat('00', 32), 'hex'), '(unknown)', '1900-01-01 00:00:00+00', 'mainstem'
  from platform.tenant;
insert into vault.hub_campaign
  select tenant_id, decode(repeat('00', 32), 'hex'), null, null, null, '1900-01-01 00:00:00+00', 'mainstem'
  from platform.tenant;
insert into vault.sat_page
  select tenant_id, decode(repeat('00', 32), 'hex'), '1900-01-01 00:00:00+00', 0, decode(repeat('00', 32), 'hex'),
         'mainstem', null
  from platform.tenant;
insert into vault.sat_visitor_device
  select tenant_id, decode(repeat('00', 32), 'hex'), '1900-01-01 00:00:00+00', 0, decode(repeat('00', 32), 'hex'),
         'mainstem'
  from platform.tenant;
