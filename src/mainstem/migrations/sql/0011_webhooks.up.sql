-- Webhooks: endpoints, the messages that wait for them, deliveries with their attempts, and figures kept as they change.

create schema webhooks;
comment on schema webhooks is 'Endpoints of tenants and what is delivered to them.';
grant usage on schema webhooks to mainstem_api, mainstem_worker;

create table webhooks.endpoint (
  endpoint_id     integer generated always as identity primary key,
  uid             uuid not null default gen_random_uuid() constraint endpoint_uid_key unique,
  tenant_id       integer not null references platform.tenant,
  name            text not null constraint endpoint_name_check check (length(name) between 1 and 255),
  url             text not null constraint endpoint_url_check check (length(url) between 10 and 2048 and url ~ '^https?://'),
  description     text constraint endpoint_description_check check (length(description) <= 1000),
  kinds           text[] not null default '{*}' constraint endpoint_kinds_check check (cardinality(kinds) between 1 and 100),
  filter          jsonb constraint endpoint_filter_check check (jsonb_typeof(filter) = 'object'),
  headers         bytea,
  header_names    text[] not null default '{}',
  signature       text not null default 'hmac' constraint endpoint_signature_check check (signature in ('hmac', 'ed25519')),
  envelope        text not null default 'standard'
                  constraint endpoint_envelope_check check (envelope in ('standard', 'cloudevents', 'bare')),
  timeout_ms      integer not null default 15000 constraint endpoint_timeout_check check (timeout_ms between 100 and 60000),
  rate_limit      integer constraint endpoint_rate_check check (rate_limit between 1 and 100000),
  retry_policy    jsonb constraint endpoint_retry_check check (jsonb_typeof(retry_policy) = 'object'),
  fifo            boolean not null default false,
  active          boolean not null default true,
  disabled_reason text,
  disabled_at     timestamptz,
  version         integer not null default 1,
  created_by      text not null default '',
  created_at      timestamptz not null default now(),
  updated_at      timestamptz not null default now(),
  deleted_at      timestamptz,
  constraint endpoint_disabled_check check (active = (disabled_at is null))
);
comment on table webhooks.endpoint is 'Where events of a tenant are sent. A deleted one goes with its deliveries in the next upkeep.';
comment on column webhooks.endpoint.kinds is 'Patterns of event kinds: exact, `order.*`, or `*`; see mainstem.events.catalogue.matches.';
comment on column webhooks.endpoint.filter is 'Conditions on the event; see mainstem.webhooks.filters. Null: every event of the kinds.';
comment on column webhooks.endpoint.headers is 'Further request headers as a JSON object, sealed: they may hold credentials.';
comment on column webhooks.endpoint.envelope is
  'standard: {type, timestamp, data}; cloudevents: CloudEvents 1.0, structured; bare: the data of the event alone.';
comment on column webhooks.endpoint.rate_limit is 'Most deliveries a second, counted across processes; null: no limit.';
comment on column webhooks.endpoint.retry_policy is 'See mainstem.webhooks.retry.Policy; null: the default schedule.';
comment on column webhooks.endpoint.fifo is 'One at a time, in order: what fails is tried again before the next is sent.';
comment on column webhooks.endpoint.version is 'Grows with each change, so that processes know what they have read.';
create index endpoint_tenant_idx on webhooks.endpoint (tenant_id, endpoint_id) where deleted_at is null;
create index endpoint_deleted_idx on webhooks.endpoint (endpoint_id) where deleted_at is not null;

create table webhooks.secret (
  secret_id   integer generated always as identity primary key,
  endpoint_id integer not null references webhooks.endpoint on delete cascade,
  tenant_id   integer not null,
  kind        text not null constraint secret_kind_check check (kind in ('hmac', 'ed25519')),
  key_id      text not null,
  box         bytea not null,
  public_key  text,
  created_at  timestamptz not null default now(),
  expires_at  timestamptz,
  constraint secret_public_check check ((kind = 'ed25519') = (public_key is not null))
);
comment on table webhooks.secret is 'Signing secrets, wrapped by the key of the installation. A rotated one signs, too, until it expires.';
comment on column webhooks.secret.key_id is 'Which key of the installation wraps it.';
comment on column webhooks.secret.expires_at is 'Null: the current one.';
create index secret_endpoint_idx on webhooks.secret (endpoint_id, secret_id desc);
create unique index secret_current_key on webhooks.secret (endpoint_id) where expires_at is null;

create table webhooks.message (
  message_id  bigint generated always as identity primary key,
  tenant_id   integer not null,
  event_uid   uuid not null,
  kind        text not null,
  source      text not null,
  subject     text,
  occurred_at timestamptz not null,
  received_at timestamptz not null,
  created_at  timestamptz not null default now(),
  data        json not null
);
comment on table webhooks.message is 'An event as its deliveries need it, personal data sealed. Kept for WEBHOOK_RETENTION_DAYS.';

create table webhooks.delivery (
  delivery_id      bigint generated always as identity primary key,
  tenant_id        integer not null,
  endpoint_id      integer not null,
  message_id       bigint not null,
  event_uid        uuid not null,
  kind             text not null,
  status           text not null default 'pending'
                   constraint delivery_status_check check (status in ('pending', 'retrying', 'delivered', 'failed')),
  attempts         smallint not null default 0,
  last_status_code smallint,
  last_error       text,
  next_attempt_at  timestamptz default now(),
  created_at       timestamptz not null default now(),
  attempted_at     timestamptz,
  finished_at      timestamptz,
  constraint delivery_once_key unique (endpoint_id, event_uid),
  constraint delivery_finished_check check ((status in ('delivered', 'failed')) = (finished_at is not null))
) with (fillfactor = 80);
comment on table webhooks.delivery is 'One event for one endpoint, whatever the number of attempts. failed: the dead letters.';
create index delivery_endpoint_idx on webhooks.delivery (endpoint_id, delivery_id desc);
create index delivery_tenant_idx on webhooks.delivery (tenant_id, delivery_id desc);
create index delivery_failed_idx on webhooks.delivery (endpoint_id, delivery_id) where status = 'failed';

-- What is to be sent. Small, whatever the history: a delivery leaves it when it is delivered or dead.
create table webhooks.queue (
  delivery_id  bigint primary key,
  endpoint_id  integer not null,
  lane         smallint not null default 0,
  attempt      smallint not null default 0,
  due_at       timestamptz not null default now(),
  claim_id     uuid,
  leased_until timestamptz not null default '-infinity'
) with (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000,
        autovacuum_vacuum_cost_delay = 0);
comment on table webhooks.queue is 'Deliveries that are due now or later. Lane 0: first attempts; lane 1: retries, which never starve them.';
comment on column webhooks.queue.attempt is 'Attempts begun so far; a claim begins the next.';
comment on column webhooks.queue.claim_id is 'The worker that has it until leased_until, unless it renews the lease.';
create index queue_due_idx on webhooks.queue (endpoint_id, lane, due_at, delivery_id);

create table webhooks.attempt (
  attempt_id  bigint generated always as identity primary key,
  tenant_id   integer not null,
  delivery_id bigint not null,
  endpoint_id integer not null,
  number      smallint not null,
  at          timestamptz not null,
  duration_ms integer not null,
  outcome     text not null,
  status_code smallint,
  error       text,
  response    text,
  unique (delivery_id, attempt_id)
);
comment on table webhooks.attempt is 'Every attempt, with the first 16 KB of the answer. Kept for WEBHOOK_RETENTION_DAYS.';
comment on column webhooks.attempt.outcome is
  'delivered, or what went wrong: status, gone, redirect, timeout, connect, dns, tls, blocked, protocol, unopened.';

-- How much an endpoint may take now: its rate limit, and the pause that it asked for or that a failure demands.
create table webhooks.pace (
  endpoint_id integer primary key references webhooks.endpoint on delete cascade,
  tokens      double precision not null default 0,
  counted_at  timestamptz not null default now(),
  not_before  timestamptz not null default '-infinity',
  slowed      integer not null default 0
) with (fillfactor = 50);
comment on table webhooks.pace is 'Rate limits and pauses of endpoints, shared by all workers.';
-- made with the endpoint: a claim that made one would wait for another claim that makes the same, and may have what that needs
create function webhooks.make_pace() returns trigger
language plpgsql
as $$
begin
  insert into webhooks.pace (endpoint_id, tokens) values (new.endpoint_id, coalesce(new.rate_limit, 0));
  return null;
end $$;
create trigger make_pace after insert on webhooks.endpoint for each row execute function webhooks.make_pace();
comment on column webhooks.pace.slowed is 'Answers in a row that asked for less (429, 502, 504); the pause doubles with each.';

-- Counted where it happens, in rows that loaders and workers don't share: neither waits for the other.
create table webhooks.endpoint_created (
  endpoint_id integer primary key references webhooks.endpoint on delete cascade,
  tenant_id   integer not null,
  deliveries  bigint not null default 0
) with (fillfactor = 50);
comment on table webhooks.endpoint_created is 'Deliveries ever made, counted by loads. Pending = this - delivered - failed of endpoint_total.';

create table webhooks.endpoint_total (
  endpoint_id          integer primary key references webhooks.endpoint on delete cascade,
  tenant_id            integer not null,
  delivered            bigint not null default 0,
  failed               bigint not null default 0,
  attempts             bigint not null default 0,
  failed_attempts      bigint not null default 0,
  ms_sum               bigint not null default 0,
  ms_min               integer,
  ms_max               integer,
  consecutive_failures integer not null default 0,
  failing_since        timestamptz,
  warned               smallint not null default 0,
  last_attempt_at      timestamptz,
  last_success_at      timestamptz,
  last_failure_at      timestamptz,
  health               text not null default 'unknown'
                       constraint endpoint_total_health_check check (health in ('healthy', 'degraded', 'failing', 'unknown')),
  health_since         timestamptz not null default now()
) with (fillfactor = 50);
comment on table webhooks.endpoint_total is 'What became of the deliveries of an endpoint, counted by workers; failed counts dead letters.';
comment on column webhooks.endpoint_total.failing_since is 'First failed attempt since the last success.';
comment on column webhooks.endpoint_total.warned is 'How many warnings went out since failing_since.';

create table webhooks.endpoint_minute (
  endpoint_id integer not null references webhooks.endpoint on delete cascade,
  minute      timestamptz not null,
  tenant_id   integer not null,
  delivered   integer not null default 0,
  failed      integer not null default 0,
  ms_sum      bigint not null default 0,
  ms_max      integer not null default 0,
  ms_counts   integer[] not null default '{0,0,0,0,0,0,0,0,0,0,0,0}',
  primary key (endpoint_id, minute)
) with (fillfactor = 60);
comment on table webhooks.endpoint_minute is 'Attempts of each minute: what health, alerts and the dashboard are judged by.';
comment on column webhooks.endpoint_minute.ms_counts is
  'Attempts that took at most 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000 ms, and longer ones.';
create index endpoint_minute_tenant_idx on webhooks.endpoint_minute (tenant_id, minute);

create table webhooks.replay (
  replay_id    bigint generated always as identity primary key,
  tenant_id    integer not null,
  endpoint_id  integer not null references webhooks.endpoint on delete cascade,
  mode         text not null constraint replay_mode_check check (mode in ('failed', 'missing')),
  kinds        text[] not null default '{*}',
  since        timestamptz not null,
  until        timestamptz not null,
  total        bigint,
  done         bigint not null default 0,
  requeued     bigint not null default 0,
  position     bigint not null default 0,
  created_by   text not null default '',
  created_at   timestamptz not null default now(),
  finished_at  timestamptz,
  failure      text,
  constraint replay_window_check check (since < until)
);
comment on table webhooks.replay is 'Deliveries to be made again, taken up by a worker in slices; the progress is the row itself.';
comment on column webhooks.replay.mode is 'failed: dead letters; missing: events of the window that have no delivery to the endpoint.';
create index replay_open_idx on webhooks.replay (replay_id) where finished_at is null;
create index replay_endpoint_idx on webhooks.replay (endpoint_id, replay_id desc);

grant select, insert, update, delete on
  webhooks.endpoint, webhooks.secret, webhooks.message, webhooks.delivery, webhooks.queue, webhooks.attempt, webhooks.pace,
  webhooks.endpoint_created, webhooks.endpoint_total, webhooks.endpoint_minute, webhooks.replay
  to mainstem_api, mainstem_worker;
select platform.protect(t) from unnest(array[
  'webhooks.endpoint', 'webhooks.secret', 'webhooks.message', 'webhooks.delivery', 'webhooks.attempt',
  'webhooks.endpoint_created', 'webhooks.endpoint_total', 'webhooks.endpoint_minute', 'webhooks.replay']::regclass[]) t;

-- Rows of these two belong to whom their delivery or endpoint belongs to.
alter table webhooks.queue enable row level security;
alter table webhooks.queue force row level security;
create policy tenant_isolation on webhooks.queue for all to mainstem_api
  using (exists (select from webhooks.delivery d where d.delivery_id = queue.delivery_id))
  with check (exists (select from webhooks.delivery d where d.delivery_id = queue.delivery_id));
create policy worker_all on webhooks.queue for all to mainstem_worker using (true) with check (true);
alter table webhooks.pace enable row level security;
alter table webhooks.pace force row level security;
create policy tenant_isolation on webhooks.pace for all to mainstem_api
  using (exists (select from webhooks.endpoint e where e.endpoint_id = pace.endpoint_id))
  with check (exists (select from webhooks.endpoint e where e.endpoint_id = pace.endpoint_id));
create policy worker_all on webhooks.pace for all to mainstem_worker using (true) with check (true);

-- Judges attempts of a window. Three at least, for one answer says nothing: then what was known stays.
create function webhooks.health_of(p_delivered bigint, p_failed bigint, p_slow bigint, p_known text) returns text
language sql immutable
as $$
  select case
    when p_delivered + p_failed < 3 then p_known
    when p_delivered * 2 < p_delivered + p_failed then 'failing'
    when p_failed * 20 > p_delivered + p_failed or p_slow * 20 > p_delivered + p_failed then 'degraded'
    else 'healthy' end
$$;
comment on function webhooks.health_of(bigint, bigint, bigint, text) is
  'failing: less than half delivered; degraded: more than 5 % failed or took over 5 s; else healthy.';

-- Judges endpoints by the attempts of the last quarter of an hour; returns those whose health is another now.
create function webhooks.judge(p_endpoints integer[])
returns table (endpoint_id integer, tenant_id integer, name text, was text, health text)
language sql
as $$
  with seen as (
    select m.endpoint_id, sum(m.delivered) as delivered, sum(m.failed) as failed,
           sum(m.ms_counts[10] + m.ms_counts[11] + m.ms_counts[12]) as slow
    from webhooks.endpoint_minute m
    where m.endpoint_id = any (p_endpoints) and m.minute > now() - interval '15 minutes'
    group by m.endpoint_id
  ), judged as (
    select t.endpoint_id, t.health as was, webhooks.health_of(s.delivered, s.failed, s.slow, t.health) as health
    from seen s join webhooks.endpoint_total t on t.endpoint_id = s.endpoint_id
    order by t.endpoint_id
    for update of t
  )
  update webhooks.endpoint_total t
  set health = j.health, health_since = now()
  from judged j join webhooks.endpoint e on e.endpoint_id = j.endpoint_id
  where t.endpoint_id = j.endpoint_id and j.health <> t.health
  returning t.endpoint_id, t.tenant_id, e.name, j.was, j.health
$$;
comment on function webhooks.judge(integer[]) is 'Writes down the health of endpoints, by windows, never by one answer.';

-- Takes up to p_room deliveries that are due, begins an attempt of each and leases it to p_claim: p_per_endpoint less the
-- count in p_busy_counts (which may be negative) of each endpoint. Retries (lane 1) get p_retry_room at most.
create function webhooks.claim(
  p_claim uuid, p_lease interval, p_room integer, p_retry_room integer, p_per_endpoint integer,
  p_busy integer[], p_busy_counts integer[])
returns table (
  delivery_id bigint, endpoint_id integer, attempt smallint, lane smallint, tenant_id integer, created_at timestamptz,
  event_uid uuid, kind text, source text, subject text, occurred_at timestamptz, data json)
language plpgsql
as $$
#variable_conflict use_column
declare
  v_lane     smallint;
  v_rooms    integer[] := array[p_room, p_retry_room];
  v_left     integer := p_room;
  v_room     integer;
  v_take     integer;
  v_count    integer;
  v_granted  integer;
  e          record;
begin
  for v_lane in 0..1 loop
    v_room := least(v_left, v_rooms[v_lane + 1]);
    -- the endpoints with something in this lane that may be sent to now, found by steps over the index
    for e in
      with recursive step as (
        (select q.endpoint_id from webhooks.queue q order by q.endpoint_id limit 1)
        union all
        select (select q.endpoint_id from webhooks.queue q where q.endpoint_id > step.endpoint_id
                order by q.endpoint_id limit 1)
        from step where step.endpoint_id is not null)
      select p.endpoint_id, p.rate_limit, p.fifo, coalesce(b.busy, 0) as busy,
             count(*) over () as endpoints
      from step
      join webhooks.endpoint p on p.endpoint_id = step.endpoint_id and p.active and p.deleted_at is null
      left join webhooks.pace c on c.endpoint_id = p.endpoint_id
      left join unnest(p_busy, p_busy_counts) as b (endpoint_id, busy) on b.endpoint_id = p.endpoint_id
      where coalesce(c.not_before, '-infinity') <= now()
        and coalesce(b.busy, 0) < case when p.fifo then 1 else p_per_endpoint end
        and exists (select from webhooks.queue q where q.endpoint_id = p.endpoint_id and q.lane = v_lane
                    and q.due_at <= now() and q.leased_until < now())
      -- who has least under way comes first
      order by busy, p.endpoint_id
    loop
      exit when v_left <= 0 or v_rooms[v_lane + 1] <= 0;
      -- a fair share; what others leave of theirs is there for the next claim
      v_take := least(v_left, v_rooms[v_lane + 1], greatest(v_room / e.endpoints::integer, 4), p_per_endpoint - e.busy);
      if e.fifo then
        -- under the lock of its pace: two workers must not take the head and the one behind it
        perform from webhooks.pace c where c.endpoint_id = e.endpoint_id and c.not_before <= now() for update skip locked;
        continue when not found;
        continue when exists (
          select from webhooks.queue q where q.endpoint_id = e.endpoint_id and q.leased_until >= now());
        v_take := 1;
      end if;
      if e.rate_limit is not null then
        -- another claim that is at it has what there is; waiting for it, in an order of one's own, may be for ever
        perform from webhooks.pace c where c.endpoint_id = e.endpoint_id for update skip locked;
        continue when not found;
        update webhooks.pace c
        set tokens = least(e.rate_limit,
              c.tokens + e.rate_limit * greatest(extract(epoch from clock_timestamp() - c.counted_at), 0)),
            counted_at = clock_timestamp()
        where c.endpoint_id = e.endpoint_id
        returning floor(c.tokens)::integer into v_granted;
        v_take := least(v_take, v_granted);
        continue when v_take <= 0;
      end if;
      -- with their messages, in one statement: the caller's snapshot may be older than what is found here
      return query
        with due as materialized (
          select q.delivery_id from webhooks.queue q
          where q.endpoint_id = e.endpoint_id and q.lane = v_lane and q.due_at <= now() and q.leased_until < now()
          order by q.due_at, q.delivery_id limit v_take for update skip locked),
        taken as (
          update webhooks.queue q
          set claim_id = p_claim, leased_until = now() + p_lease, attempt = q.attempt + 1
          from due where q.delivery_id = due.delivery_id
          returning q.delivery_id, q.endpoint_id, q.attempt, q.lane)
        select t.delivery_id, t.endpoint_id, t.attempt, t.lane, d.tenant_id, d.created_at, m.event_uid, m.kind, m.source,
               m.subject, m.occurred_at, m.data
        from taken t
        join webhooks.delivery d on d.delivery_id = t.delivery_id
        join webhooks.message m on m.message_id = d.message_id;
      get diagnostics v_count = row_count;
      if e.rate_limit is not null then
        update webhooks.pace c set tokens = c.tokens - v_count where c.endpoint_id = e.endpoint_id;
      end if;
      v_left := v_left - v_count;
      v_rooms[v_lane + 1] := v_rooms[v_lane + 1] - v_count;
    end loop;
  end loop;
end $$;
comment on function webhooks.claim(uuid, interval, integer, integer, integer, integer[], integer[]) is
  'Begins the next attempts: leased rows of the queue, few of each endpoint, no more retries than told.';
