-- What a replay needs in its own schema, which stands here as rebuild_vault.

-- name: batch
-- The ledger of the replay: batches in the order of their loads, and what became of them when they were loaded.
create table rebuild_vault.rebuild_batch (
  like raw.batch including defaults including constraints,
  live_loaded integer not null, live_duplicates integer not null, live_rejected integer not null,
  primary key (batch_id)
)

-- name: batch_index
create index on rebuild_vault.rebuild_batch (load_ts, batch_id) where loaded_at is null

-- name: rejected
create table rebuild_vault.rebuild_rejected (like staging.rejected including all)

-- name: claim
-- As vault.claim: the batches that one load took, which the session names by its load time.
create function rebuild_vault.rebuild_claim(p_lane integer, p_lanes integer, p_budget integer)
returns table (batch_id bigint, tenant_id integer, events integer, received_from timestamptz,
               received_to timestamptz, origin text)
language sql volatile
as $$
  select b.batch_id, b.tenant_id, b.events, b.received_from, b.received_to, b.origin
  from rebuild_vault.rebuild_batch b
  where b.loaded_at is null and b.load_ts = current_setting('mainstem.rebuild_load_ts')::timestamptz
  order by b.batch_id
$$

-- name: open_load
-- As vault.open_load: the load time is that of the original load.
create function rebuild_vault.rebuild_open_load(p_lane integer) returns timestamptz
language sql stable
as $$ select current_setting('mainstem.rebuild_load_ts')::timestamptz $$

-- name: restored_event
-- Events of archived days, by day, for as long as they are needed.
create table rebuild_vault.rebuild_restored_event (
  like raw.event including defaults including constraints, primary key (received_at, raw_id)
) partition by range (received_at)

-- name: restored_batch
create table rebuild_vault.rebuild_restored_batch (like raw.batch including defaults including constraints, primary key (batch_id))

-- name: restored_view
create view rebuild_vault.rebuild_event as
select raw_id, received_at, tenant_id, event_uid, kind, occurred_at, source, message_id, subject, visitor, ip,
       user_agent, flags, data
from raw.event
union all
select raw_id, received_at, tenant_id, event_uid, kind, occurred_at, source, message_id, subject, visitor, ip,
       user_agent, flags, data
from rebuild_vault.rebuild_restored_event
