-- The replay's own statements; rebuild_vault stands for its schema.

-- name: barrier
-- Waits until every load that has its load time is committed; loads go on when the transaction ends.
lock table vault.lane in share mode

-- name: plan
-- Takes over the loaded batches with a load time from $1 on that are not planned yet; how many events they have.
with planned as (
  insert into rebuild_vault.rebuild_batch (batch_id, tenant_id, events, origin, received_from, received_to,
    committed_at, load_ts, live_loaded, live_duplicates, live_rejected)
  select b.batch_id, b.tenant_id, b.events, b.origin, b.received_from, b.received_to, b.committed_at, b.load_ts,
         b.loaded, b.duplicates, b.rejected
  from raw.batch b
  where b.loaded_at is not null and b.load_ts >= $1
  order by b.load_ts, b.batch_id
  on conflict (batch_id) do nothing
  returning events
)
select coalesce(sum(events), 0)::bigint from planned

-- name: groups
-- Loads that are not replayed: those after $1 and before $2, at most $3 of them, in their order.
select load_ts, sum(events)::bigint as events
from rebuild_vault.rebuild_batch
where loaded_at is null and load_ts > $1 and load_ts < $2
group by load_ts
order by load_ts
limit $3

-- name: this_load
select set_config('mainstem.rebuild_load_ts', $1::timestamptz::text, false)

-- name: oldest_waiting
-- The day (UTC) of the oldest event that is still to be replayed.
select (min(received_from) at time zone 'UTC')::date from rebuild_vault.rebuild_batch where loaded_at is null

-- name: changed
-- Batches that came out otherwise than when they were loaded.
select count(*) from rebuild_vault.rebuild_batch
where loaded_at is not null and (loaded, duplicates, rejected) <> (live_loaded, live_duplicates, live_rejected)

-- name: lost
-- Events that were loaded and that neither landing nor archive holds any more.
select least(
  (select count(*) from rebuild_vault.rebuild_rejected where code = 'raw_event_missing'),
  (select coalesce(sum(greatest(live_loaded - loaded, 0)), 0)
   from rebuild_vault.rebuild_batch where loaded_at is not null))::bigint

-- name: unknown
-- Events that were ever loaded and are in no batch of the replay.
select coalesce(sum(greatest(p.loaded + p.duplicates + p.rejected - coalesce(b.events, 0), 0)), 0)::bigint
from business.pipeline_total p
left join (
  select tenant_id, sum(live_loaded + live_duplicates + live_rejected) as events
  from rebuild_vault.rebuild_batch group by tenant_id) b using (tenant_id)

-- name: plan_restored
-- As plan, of the batches of an archived day.
with planned as (
  insert into rebuild_vault.rebuild_batch (batch_id, tenant_id, events, origin, received_from, received_to,
    committed_at, load_ts, live_loaded, live_duplicates, live_rejected)
  select b.batch_id, b.tenant_id, b.events, b.origin, b.received_from, b.received_to, b.committed_at, b.load_ts,
         b.loaded, b.duplicates, b.rejected
  from rebuild_vault.rebuild_restored_batch b
  where b.loaded_at is not null and b.load_ts >= $1
  order by b.load_ts, b.batch_id
  on conflict (batch_id) do nothing
  returning events
)
select coalesce(sum(events), 0)::bigint from planned
