-- The writing side of the spine. Bulk rows go by COPY (see log.py), everything else is here.

-- name: next_block
-- First id of a block of 65,536 raw ids that belongs to the caller alone.
select nextval('raw.raw_id_block')

-- name: insist_on_durability
-- An acknowledged event is on disk, whatever the database's default says; stronger settings stay.
select set_config('synchronous_commit', 'on', false)
where current_setting('synchronous_commit') in ('off', 'local')

-- name: ping
-- Fails unless the ledger is there to be read.
select pg_is_in_recovery() from raw.batch limit 0

-- name: append
-- Events and their ledger row, in the caller's transaction.
select raw.append($1, $2::jsonb, $3)

-- name: try_maintenance_lock
-- True for the one process of the cluster that may do the upkeep now; held until the session lets go.
select pg_try_advisory_lock(hashtextextended('mainstem.events.retention', 0))

-- name: wait_for_maintenance_lock
-- Waits (lock_timeout) until nobody does the upkeep, and keeps it off until the session lets go.
select pg_advisory_lock(hashtextextended('mainstem.events.retention', 0))

-- name: release_maintenance_lock
select pg_advisory_unlock(hashtextextended('mainstem.events.retention', 0))

-- name: ensure_partitions
-- Day partitions of raw.event from $1 to $2; how many were new.
select raw.ensure_partitions($1, $2)

-- name: drop_partitions
-- Drops day partitions before $1 whose events are all loaded; their names.
select partition_name from raw.drop_partitions($1) as partition_name order by partition_name

-- name: prune_batches
-- Deletes at most $2 ledger rows of loaded batches whose days before $1 are dropped; how many.
select raw.prune_batches($1, $2)

-- name: prune_rejected
-- Deletes at most $2 of the oldest rejects, those from before $1; ids are in the order of time.
with oldest as (
  select rejected_id, rejected_at from staging.rejected order by rejected_id limit $2
),
pruned as (
  delete from staging.rejected r using oldest o
  where r.rejected_id = o.rejected_id and o.rejected_at < $1
  returning r.rejected_id
)
select count(*) from pruned

-- name: prune_rate_windows
-- Deletes counters of windows that ended long before $1; the longest window is an hour.
with pruned as (
  delete from platform.rate_window where window_at < $1 returning window_at
)
select count(*) from pruned
