-- The landing: a ledger of batches, the events in them, and the rejects with their reasons.

create schema raw;
comment on schema raw is 'Landing: every acknowledged event as it came, partitioned by day.';
create schema staging;
comment on schema staging is 'Rejected events with their reasons, and the views and functions of the SQL contract.';
grant usage on schema raw, staging to mainstem_api, mainstem_worker;

-- Each process takes ids in blocks of 65,536, so that a batch is one unbroken range of ids.
create sequence raw.raw_id_block increment by 65536;
grant usage on sequence raw.raw_id_block to mainstem_api, mainstem_worker;

create table raw.batch (
  batch_id      bigint primary key,
  tenant_id     integer not null,
  events        integer not null constraint batch_events_check check (events between 1 and 65536),
  origin        text not null,
  received_from timestamptz not null,
  received_to   timestamptz not null,
  committed_at  timestamptz not null default clock_timestamp(),
  loaded_at     timestamptz,
  load_ts       timestamptz,
  loaded        integer not null default 0,
  duplicates    integer not null default 0,
  rejected      integer not null default 0,
  constraint batch_balance_check check (
    (loaded_at is null and loaded + duplicates + rejected = 0)
    or (loaded_at is not null and loaded + duplicates + rejected = events)),
  constraint batch_received_check check (received_from <= received_to)
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000);
-- every load leaves a dead entry at the head of the index that claims read: vacuum must come by the thousands
comment on table raw.batch is
  'The ledger: one row per group commit and tenant. acknowledged = loaded + duplicates + rejected, by constraint.';
comment on column raw.batch.batch_id is 'raw_id of its first event; its events are batch_id … batch_id + events - 1.';
comment on column raw.batch.origin is 'Where it came in: http, spool, import, sql or record.';
comment on column raw.batch.load_ts is 'Load time of its rows in the vault: strictly increasing per lane.';
create index batch_pending_idx on raw.batch (batch_id) where loaded_at is null;
create index batch_tenant_idx on raw.batch (tenant_id, batch_id desc);

create table raw.event (
  raw_id      bigint not null,
  received_at timestamptz not null,
  tenant_id   integer not null,
  event_uid   uuid not null,
  kind        text not null,
  occurred_at timestamptz not null,
  source      text not null,
  message_id  text,
  subject     text,
  visitor     text,
  ip          text,
  user_agent  text,
  flags       smallint not null default 0,
  data        json not null,
  primary key (received_at, raw_id)
) partition by range (received_at);
comment on table raw.event is 'Acknowledged events exactly as they came; dropped by day after RAW_RETENTION_DAYS.';
comment on column raw.event.event_uid is
  'Identity for exactly-once: from (tenant, source, message_id) when the sender gave a message id, else UUIDv7.';
comment on column raw.event.subject is 'What the event is about, in the words of its kind (a session, a booking, a task).';
comment on column raw.event.visitor is 'Visitor key, made at intake; the full address is never needed later.';
comment on column raw.event.ip is 'Client address after IP_MODE (truncated, salted, kept or dropped).';
comment on column raw.event.flags is 'Bits of mainstem.events.EventFlag: clock corrected, server-sent user agent, …';

create table raw.event_default partition of raw.event default;
alter table raw.event_default enable row level security;

-- Makes the partitions of the days given; returns how many were new. Existing rows that fell into
-- the default partition move into the new one.
create function raw.ensure_partitions(p_from date, p_to date) returns integer
language plpgsql
as $$
declare
  d date;
  made integer := 0;
  part text;
begin
  perform pg_advisory_xact_lock(hashtext('raw.ensure_partitions'));
  for d in select generate_series(p_from, p_to, interval '1 day')::date loop
    part := 'event_' || to_char(d, 'YYYYMMDD');
    continue when to_regclass('raw.' || part) is not null;
    execute format('create table raw.%I (like raw.event including defaults including constraints)', part);
    execute format('with moved as (delete from raw.event_default where received_at >= %L and received_at < %L returning *) '
                   'insert into raw.%I select * from moved',
                   (d::text || ' 00:00+00'), ((d + 1)::text || ' 00:00+00'), part);
    execute format('alter table raw.event attach partition raw.%I for values from (%L) to (%L)',
                   part, (d::text || ' 00:00+00'), ((d + 1)::text || ' 00:00+00'));
    -- without a policy nobody reads a partition past its parent
    execute format('alter table raw.%I enable row level security', part);
    execute format('alter table raw.%I force row level security', part);
    made := made + 1;
  end loop;
  return made;
end $$;

-- Whether an event of that day (UTC) is still to be loaded.
create function raw.is_waiting(p_day date) returns boolean
language sql stable
as $$
  select exists (
    select from raw.batch b
    where b.loaded_at is null
      and b.received_from < ((p_day + 1)::text || ' 00:00+00')::timestamptz
      and b.received_to >= (p_day::text || ' 00:00+00')::timestamptz)
$$;

-- The day partitions of raw.event.
create function raw.days() returns table (name text, day date)
language sql stable
as $$
  select c.relname, to_date(substr(c.relname, 7), 'YYYYMMDD')
  from pg_inherits i join pg_class c on c.oid = i.inhrelid
  where i.inhparent = 'raw.event'::regclass and c.relname ~ '^event_[0-9]{8}$'
$$;

-- Drops day partitions that ended before p_before and hold no event of an unloaded batch; returns their names.
-- Events that came so late that their day was gone lie in the default partition: they go one by one.
create function raw.drop_partitions(p_before date) returns setof text
language plpgsql
as $$
declare
  part record;
begin
  for part in select d.name, d.day from raw.days() d where d.day < p_before order by d.day loop
    continue when raw.is_waiting(part.day);
    -- first the lock, then the look that counts: a commit under way may bring events of that day from a spool
    lock table only raw.event in access exclusive mode;
    continue when raw.is_waiting(part.day);
    execute format('drop table raw.%I', part.name);
    return next part.name;
  end loop;
  delete from raw.event_default e
  where e.received_at < (p_before::text || ' 00:00+00')::timestamptz
    and not exists (
      select from raw.batch b
      where b.loaded_at is null and e.received_at between b.received_from and b.received_to);
end $$;

-- Deletes at most p_most rows of the ledger, those of loaded batches whose events are dropped; returns how many.
-- What became of them stays counted in business.pipeline_total.
create function raw.prune_batches(p_before date, p_most integer) returns integer
language plpgsql
as $$
declare
  v_before constant timestamptz :=
    (least(p_before, (select min(d.day) from raw.days() d))::text || ' 00:00+00')::timestamptz;
  pruned integer;
begin
  delete from raw.batch b
  where b.batch_id = any (array(
    select o.batch_id
    from platform.tenant t
    cross join lateral (
      select l.batch_id
      from raw.batch l
      where l.tenant_id = t.tenant_id and l.committed_at < v_before
        and l.received_to < v_before and l.loaded_at is not null
      order by l.committed_at
      limit p_most) o
    limit p_most));
  get diagnostics pruned = row_count;
  return pruned;
end $$;

select raw.ensure_partitions(current_date - 1, current_date + 7);

create table staging.rejected (
  rejected_id bigint generated always as identity primary key,
  tenant_id   integer not null,
  raw_id      bigint,
  stage       text not null constraint rejected_stage_check check (stage in ('intake', 'load', 'import')),
  code        text not null,
  reason      text not null,
  field       text,
  kind        text,
  origin      text not null,
  payload     text not null,
  rejected_at timestamptz not null default clock_timestamp(),
  replayed_at timestamptz
);
comment on table staging.rejected is
  'Every refused event with its reason: at intake (never acknowledged), at load (acknowledged), or of an import.';
comment on column staging.rejected.payload is 'The event as it came, at most 64 KB of it.';
create index rejected_tenant_idx on staging.rejected (tenant_id, rejected_id desc);
create unique index rejected_raw_idx on staging.rejected (raw_id) where raw_id is not null;

-- Appends events and their ledger row in the caller's transaction: for changes made by people and
-- connectors, and for senders that speak SQL. Elements: {kind, data, event_uid?, occurred_at?,
-- source?, message_id?, subject?, visitor?, ip?, user_agent?, flags?}. Returns the batch id.
create function raw.append(p_tenant_id integer, p_events jsonb, p_origin text) returns bigint
language plpgsql
as $$
declare
  v_count integer := jsonb_array_length(p_events);
  v_now   timestamptz := clock_timestamp();
  v_batch bigint;
begin
  if v_count not between 1 and 65536 then
    raise exception 'a batch has 1 to 65536 events, not %', v_count using errcode = '22023';
  end if;
  v_batch := nextval('raw.raw_id_block');
  insert into raw.batch (batch_id, tenant_id, events, origin, received_from, received_to)
  values (v_batch, p_tenant_id, v_count, p_origin, v_now, v_now);
  insert into raw.event (raw_id, received_at, tenant_id, event_uid, kind, occurred_at, source, message_id,
                         subject, visitor, ip, user_agent, flags, data)
  select v_batch + e.n - 1, v_now, p_tenant_id,
         coalesce((e.v ->> 'event_uid')::uuid, gen_random_uuid()),
         e.v ->> 'kind', coalesce((e.v ->> 'occurred_at')::timestamptz, v_now),
         coalesce(e.v ->> 'source', 'mainstem'), e.v ->> 'message_id', e.v ->> 'subject',
         e.v ->> 'visitor', e.v ->> 'ip', e.v ->> 'user_agent',
         coalesce((e.v ->> 'flags')::smallint, 0::smallint), coalesce(e.v -> 'data', '{}')::json
  from jsonb_array_elements(p_events) with ordinality e (v, n);
  perform pg_notify('mainstem_raw', p_tenant_id::text);
  return v_batch;
end $$;

grant select, insert, update, delete on raw.batch, raw.event, staging.rejected to mainstem_worker;
grant select, insert on raw.batch, raw.event to mainstem_api;
grant select, update, insert on staging.rejected to mainstem_api;
select platform.protect('raw.batch'), platform.protect('raw.event'), platform.protect('staging.rejected');

-- COPY is refused on a table whose row-level security applies to the copying role. The intake
-- connects as the owner: where that role can't bypass row-level security, the landing is not
-- forced on its owner. It stays in force for mainstem_api, which owns nothing.
do $$
begin
  if not exists (select from pg_roles where rolname = current_user and (rolsuper or rolbypassrls)) then
    alter table raw.batch no force row level security;
    alter table raw.event no force row level security;
    alter table staging.rejected no force row level security;
  end if;
end $$;
