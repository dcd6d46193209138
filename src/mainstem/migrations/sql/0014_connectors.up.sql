-- Connectors: deliveries as they came, bookings as they are known, the ledger of orders, mappings of items, runs and differences.

create schema connectors;
comment on schema connectors is 'Bookings of one system as orders of another, exactly once.';
grant usage on schema connectors to mainstem_api, mainstem_worker;

create table connectors.delivery (
  delivery_id  bigint generated always as identity primary key,
  tenant_id    integer not null references platform.tenant,
  connector    text not null,
  received_at  timestamptz not null,
  signature    text not null constraint delivery_signature_check check (
                 signature in ('valid', 'no_key', 'no_signature', 'malformed', 'mismatch', 'too_old', 'too_new')),
  header_names text[] not null,
  body_sha256  bytea not null constraint delivery_sha_check check (length(body_sha256) = 32),
  body_bytes   integer not null,
  body         bytea,
  repeats      bigint references connectors.delivery on delete set null,
  trigger      text,
  booking_id   text,
  outcome      text,
  ok           boolean,
  processed    boolean,
  order_id     text,
  error        text,
  attempts     integer not null default 0,
  due_at       timestamptz not null,
  claim_id     uuid,
  leased_until timestamptz not null default '-infinity',
  finished_at  timestamptz,
  constraint delivery_finished_check check ((finished_at is null) = (outcome is null)),
  constraint delivery_kept_check check (finished_at is not null or body is not null)
);
comment on table connectors.delivery is
  'Every delivery of a source, stored before anything is done with it. Kept for CONNECTOR_RETENTION_DAYS.';
comment on column connectors.delivery.header_names is 'Names of its headers; the values may be credentials.';
comment on column connectors.delivery.body is 'As it came, sealed by the key of the installation; null for a repetition and for one that is not valid.';
comment on column connectors.delivery.repeats is 'The first valid delivery with the same body.';
comment on column connectors.delivery.outcome is 'Reason of CONTRACTS part E; null while it is still to be worked on.';
create unique index delivery_once_key on connectors.delivery (tenant_id, connector, body_sha256)
  where signature = 'valid' and repeats is null;
create index delivery_open_idx on connectors.delivery (due_at, delivery_id) where finished_at is null;
create index delivery_tenant_idx on connectors.delivery (tenant_id, connector, delivery_id desc);
create index delivery_received_idx on connectors.delivery (received_at) where finished_at is not null;
create index delivery_repeats_idx on connectors.delivery (repeats) where repeats is not null;

create table connectors.booking (
  booking_key   bigint generated always as identity primary key,
  tenant_id     integer not null references platform.tenant,
  connector     text not null,
  establishment text not null,
  booking_id    text not null constraint booking_id_check check (length(booking_id) between 1 and 200),
  local_id      text not null,
  site_id       text not null,
  name          text not null,
  status        text not null,
  takes_place_on date,
  doc           jsonb not null,
  doc_hash      text not null,
  version       integer not null default 1,
  seen_at       timestamptz not null,
  touched       bigint not null default 1,
  asked         boolean not null default false,
  result        text,
  reason        text,
  error         text,
  attempts      integer not null default 0,
  due_at        timestamptz not null default 'infinity',
  claim_id      uuid,
  leased_until  timestamptz not null default '-infinity',
  created_at    timestamptz not null default now(),
  updated_at    timestamptz not null default now(),
  constraint booking_once_key unique (tenant_id, connector, establishment, booking_id)
) with (fillfactor = 70);
comment on table connectors.booking is 'What is known of each booking, and when its order is to be looked at next. One worker at a time has it.';
comment on column connectors.booking.doc is 'mainstem.connectors.ports.Booking, without contact and raw.';
comment on column connectors.booking.seen_at is 'When this knowledge was true at the source: older knowledge never overwrites it.';
comment on column connectors.booking.touched is 'Grows with everything that is told about it, so that a worker knows what came meanwhile.';
comment on column connectors.booking.asked is 'Somebody wants it looked at again, also where it had failed or was done.';
comment on column connectors.booking.attempts is 'How often in a row it had to be put off.';
create index booking_due_idx on connectors.booking (due_at, booking_key) where due_at < 'infinity';
create index booking_day_idx on connectors.booking (tenant_id, connector, takes_place_on);
create index booking_local_idx on connectors.booking (tenant_id, connector, local_id);

create table connectors.ledger (
  order_key     bigint generated always as identity primary key,
  tenant_id     integer not null references platform.tenant,
  booking_key   bigint not null references connectors.booking,
  connector     text not null,
  establishment text not null,
  booking_id    text not null,
  order_hash    text not null,
  state         text not null constraint ledger_state_check check (state in (
                  'deferred', 'planned', 'submitting', 'confirmed', 'failed', 'unknown', 'superseded', 'voided', 'blocked')),
  reason        text,
  error         text,
  local_id      text not null,
  plan          jsonb,
  order_id      text,
  sink_total    numeric,
  attempts      integer not null default 0,
  submitted_at  timestamptz,
  not_before    timestamptz,
  confirmed_at  timestamptz,
  created_at    timestamptz not null default now(),
  changed_at    timestamptz not null default now(),
  changed_by    text not null,
  constraint ledger_once_key unique (tenant_id, connector, establishment, booking_id, order_hash),
  constraint ledger_confirmed_check check (state <> 'confirmed' or order_id is not null),
  constraint ledger_sent_check check (state not in ('submitting', 'unknown') or (submitted_at is not null and plan is not null)),
  constraint ledger_deferred_check check (state <> 'deferred' or not_before is not null)
) with (fillfactor = 70);
comment on table connectors.ledger is 'Orders: one row for each booking and content. What was sent, what is known to be there.';
comment on column connectors.ledger.attempts is 'How often it was sent to the sink.';
comment on column connectors.ledger.sink_total is 'Total of the order as the sink told it when it was confirmed.';
-- what makes an order single: one may be there, one may be on its way, one may wait
create unique index ledger_confirmed_key on connectors.ledger (booking_key) where state = 'confirmed';
create unique index ledger_doubt_key on connectors.ledger (booking_key) where state in ('submitting', 'unknown');
create unique index ledger_waiting_key on connectors.ledger (booking_key) where state in ('deferred', 'planned', 'blocked', 'failed');
create index ledger_tenant_idx on connectors.ledger (tenant_id, connector, order_key desc);

create table connectors.ledger_step (
  step_id    bigint generated always as identity primary key,
  tenant_id  integer not null,
  order_key  bigint not null references connectors.ledger on delete cascade,
  was        text,
  state      text not null,
  reason     text,
  order_id   text,
  by         text not null,
  at         timestamptz not null default clock_timestamp()
);
comment on table connectors.ledger_step is 'Every step of every order: who, what, when. Written by the ledger itself.';
create index ledger_step_order_idx on connectors.ledger_step (order_key, step_id);

-- An order is sent from `planned` alone, and gets back there only when the sink says that it is not there.
create function connectors.may_step(p_was text, p_is text) returns boolean
language sql immutable
as $$
  select p_is = any (case p_was
    when 'deferred'   then array['deferred', 'planned', 'failed', 'superseded', 'voided']
    when 'planned'    then array['planned', 'deferred', 'submitting', 'blocked', 'confirmed', 'failed', 'superseded', 'voided']
    when 'blocked'    then array['blocked', 'planned', 'deferred', 'confirmed', 'failed', 'superseded', 'voided']
    when 'submitting' then array['confirmed', 'failed', 'unknown', 'planned', 'voided']
    when 'unknown'    then array['unknown', 'confirmed', 'failed', 'planned', 'voided']
    when 'confirmed'  then array['confirmed', 'planned', 'superseded', 'voided']
    when 'failed'     then array['failed', 'planned', 'deferred', 'confirmed', 'superseded', 'voided']
    when 'superseded' then array['superseded', 'planned', 'deferred', 'failed', 'voided']
    when 'voided'     then array['voided', 'planned', 'deferred', 'failed', 'superseded']
    else array['deferred', 'planned', 'failed'] end)
$$;

create function connectors.note_step() returns trigger
language plpgsql
as $$
begin
  if not connectors.may_step(case when tg_op = 'UPDATE' then old.state end, new.state) then
    raise exception 'an order does not go from % to %', case when tg_op = 'UPDATE' then old.state else 'nothing' end, new.state
      using errcode = 'check_violation', constraint = 'ledger_step_check', table = 'ledger', schema = 'connectors';
  end if;
  if tg_op = 'INSERT' or old.state <> new.state or old.reason is distinct from new.reason
     or old.order_id is distinct from new.order_id then
    insert into connectors.ledger_step (tenant_id, order_key, was, state, reason, order_id, by)
    values (new.tenant_id, new.order_key, case when tg_op = 'UPDATE' then old.state end, new.state, new.reason, new.order_id,
            new.changed_by);
  end if;
  return null;
end $$;
create trigger note_step after insert or update on connectors.ledger for each row execute function connectors.note_step();

create table connectors.item (
  tenant_id     integer not null references platform.tenant,
  connector     text not null,
  establishment text not null,
  item_key      text not null constraint item_key_check check (length(item_key) between 1 and 600),
  item          text not null,
  product       text,
  product_name  text not null default '',
  changed_by    text not null,
  changed_at    timestamptz not null default now(),
  primary key (tenant_id, connector, establishment, item_key)
);
comment on table connectors.item is 'Which product of the sink an item of the source is; no product: the item is ignored.';

create table connectors.run (
  run_id         bigint generated always as identity primary key,
  tenant_id      integer not null references platform.tenant,
  connector      text not null,
  mode           text not null constraint run_mode_check check (mode in ('single', 'bulk', 'scheduled')),
  dry_run        boolean not null,
  correlation_id text not null,
  since          timestamptz,
  until          timestamptz,
  started_at     timestamptz not null default now(),
  finished_at    timestamptz,
  success        boolean,
  error          text,
  bookings_read  integer not null default 0,
  bookings_taken integer not null default 0,
  bookings_refused integer not null default 0,
  orders_read    integer not null default 0,
  queried        integer not null default 0,
  injected       integer not null default 0,
  skipped        integer not null default 0,
  failed         integer not null default 0,
  events         jsonb not null default '[]',
  by             text not null,
  constraint run_finished_check check ((finished_at is null) = (success is null)),
  constraint run_balance_check check (not coalesce(success, false) or bookings_read = bookings_taken + bookings_refused)
);
comment on table connectors.run is 'Reconciliations and syncs, with what they did. Kept for CONNECTOR_RETENTION_DAYS.';
comment on column connectors.run.until is 'Fixed before anything was read: the next run begins here, less the look-back.';
create index run_tenant_idx on connectors.run (tenant_id, connector, run_id desc);
create index run_finished_idx on connectors.run (finished_at) where finished_at is not null;

create table connectors.difference (
  difference_id bigint generated always as identity primary key,
  tenant_id     integer not null references platform.tenant,
  run_id        bigint not null references connectors.run on delete cascade,
  kind          text not null constraint difference_kind_check check (
                  kind in ('missing', 'amount_differs', 'extra', 'blocked', 'unmapped')),
  booking_id    text,
  local_id      text not null,
  order_id      text,
  sentence      text not null,
  done          text
);
comment on table connectors.difference is 'What a run found to differ between bookings, ledger and sink; done: what became of it.';
create index difference_run_idx on connectors.difference (run_id, difference_id);

create table connectors.schedule (
  tenant_id integer not null references platform.tenant,
  connector text not null,
  next_at   timestamptz not null,
  read_until timestamptz,
  primary key (tenant_id, connector)
);
comment on table connectors.schedule is 'When a connector is reconciled next, and up to when its source has been read whole.';

grant select, insert, update, delete on
  connectors.delivery, connectors.booking, connectors.ledger, connectors.ledger_step, connectors.item, connectors.run,
  connectors.difference, connectors.schedule
  to mainstem_api, mainstem_worker;
select platform.protect(t) from unnest(array[
  'connectors.delivery', 'connectors.booking', 'connectors.ledger', 'connectors.ledger_step', 'connectors.item',
  'connectors.run', 'connectors.difference', 'connectors.schedule']::regclass[]) t;
