-- The loader's statements; the vault's own loads are compiled from the model.

-- name: claim
-- Locks the oldest waiting batches of lane $1 of $2, up to $3 events. Plans of this connection live long, and one
-- made while a table is small must not read all of it when it has grown; business statements may have said otherwise.
select batch_id, tenant_id, events, received_from, received_to, origin
from vault.claim($1, $2, $3)
where set_config('enable_seqscan', 'off', false) = 'off'

-- name: read_events
-- The events of batches; the overall span $5..$6 lets the planner leave out the other days.
select e.raw_id, e.received_at, e.tenant_id, e.event_uid, e.kind, e.occurred_at, e.source, e.message_id,
       e.subject, e.visitor, e.ip, e.user_agent, e.flags, e.data
from unnest($1::bigint[], $2::integer[], $3::timestamptz[], $4::timestamptz[])
       as b (batch_id, events, received_from, received_to)
join raw.event e
  on e.received_at between b.received_from and b.received_to
 and e.raw_id >= b.batch_id and e.raw_id < b.batch_id + b.events
where e.received_at between $5 and $6

-- name: keep_sealed
-- Sealed values of raw events over what they hold in the clear.
update raw.event e
set message_id = n.message_id, subject = n.subject, visitor = n.visitor, flags = n.flags, data = n.data::json
from unnest($1::timestamptz[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::smallint[], $7::text[])
       as n (received_at, raw_id, message_id, subject, visitor, flags, data)
where e.received_at = n.received_at and e.raw_id = n.raw_id

-- name: pass_gate
-- Takes the uids of raw events $3; returns how many of them are the first of theirs.
with passed as (
insert into vault.event_seen (tenant_id, event_uid, raw_id)
select distinct on (n.event_uid, n.tenant_id) n.tenant_id, n.event_uid, n.raw_id
from unnest($1::integer[], $2::uuid[], $3::bigint[]) as n (tenant_id, event_uid, raw_id)
order by n.event_uid, n.tenant_id, n.raw_id
on conflict do nothing
returning 1
)
select count(*) from passed

-- name: passed
-- Raw ids, of those given, that hold their uid in the gate.
select n.raw_id
from unnest($1::integer[], $2::uuid[], $3::bigint[]) as n (tenant_id, event_uid, raw_id)
join vault.event_seen s on s.tenant_id = n.tenant_id and s.event_uid = n.event_uid
where s.raw_id = n.raw_id

-- name: known
-- Raw ids, of those given, whose uid has passed the gate by another event.
select n.raw_id
from unnest($1::integer[], $2::uuid[], $3::bigint[]) as n (tenant_id, event_uid, raw_id)
join vault.event_seen s on s.tenant_id = n.tenant_id and s.event_uid = n.event_uid
where s.raw_id <> n.raw_id
order by n.raw_id

-- name: leave_gate
-- Gives the uids of refused events free, so that a resend or a replay can load.
delete from vault.event_seen s
using unnest($1::integer[], $2::uuid[], $3::bigint[]) as n (tenant_id, event_uid, raw_id)
where s.tenant_id = n.tenant_id and s.event_uid = n.event_uid and s.raw_id = n.raw_id

-- name: open_load
-- Waits for lane $1, sets the load time of this transaction and returns it.
insert into load_context (load_ts) values (vault.open_load($1)) returning load_ts

-- name: open_load_by_model
-- As open_load, if the model $2 is in force.
insert into load_context (load_ts) values (vault.open_load($1, $2)) returning load_ts

-- name: close_load
-- Settles the ledger ($1..$5) and the pipeline's figures ($6..$11), and tells who waits ($12).
with ledger as (
  update raw.batch b
  set loaded_at = clock_timestamp(), load_ts = $5,
      loaded = c.loaded, duplicates = c.duplicates, rejected = c.rejected
  from unnest($1::bigint[], $2::integer[], $3::integer[], $4::integer[])
         as c (batch_id, loaded, duplicates, rejected)
  where b.batch_id = c.batch_id
),
tally as (
  select * from unnest($6::integer[], $7::bigint[], $8::bigint[], $9::bigint[], $10::timestamptz[], $11::text[])
    as t (tenant_id, loaded, duplicates, rejected, latest_received_at, latency_buckets)
),
total as (
  insert into business.pipeline_total as p
    (tenant_id, loaded, duplicates, rejected, latest_received_at, updated_at)
  select tenant_id, loaded, duplicates, rejected, latest_received_at, clock_timestamp()
  from tally order by tenant_id
  on conflict (tenant_id) do update
  set loaded = p.loaded + excluded.loaded,
      duplicates = p.duplicates + excluded.duplicates,
      rejected = p.rejected + excluded.rejected,
      latest_received_at = greatest(p.latest_received_at, excluded.latest_received_at),
      updated_at = excluded.updated_at
),
minute as (
  insert into business.pipeline_minute as p (tenant_id, minute, loaded, duplicates, rejected, latency_buckets)
  select tenant_id, date_trunc('minute', clock_timestamp()), loaded, duplicates, rejected, latency_buckets::bigint[]
  from tally order by tenant_id
  on conflict (tenant_id, minute) do update
  set loaded = p.loaded + excluded.loaded,
      duplicates = p.duplicates + excluded.duplicates,
      rejected = p.rejected + excluded.rejected,
      latency_buckets = business.add_counts(p.latency_buckets, excluded.latency_buckets)
)
select pg_notify('mainstem_loaded', n.payload) from unnest($12::text[]) as n (payload)

-- name: loaded_batches
-- Of the batches given, those that are loaded.
select batch_id from raw.batch where batch_id = any ($1::bigint[]) and loaded_at is not null order by batch_id

-- name: replay
-- Appends the raw events of rejects again; pairs of reject and new batch.
select rejected_id, batch_id from vault.replay($1) order by rejected_id

-- name: ensure_partitions
-- Month partitions of all partitioned facts for the days from $1 to $2; how many were new.
select vault.ensure_partitions($1, $2)
