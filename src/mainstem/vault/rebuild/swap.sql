-- Taking the place of the live tables; rebuild_vault stands for the schema of the replay.

-- name: quiesce
-- In the order in which a load takes them: once this is done no load is under way, and none comes to its commit.
lock table vault.event_seen in exclusive mode;
lock table vault.lane in exclusive mode;
lock table platform.tenant in share mode

-- name: cut_loaders
-- Loaders remember keys that are in the tables they know; a new connection starts without.
select count(pg_terminate_backend(pid))
from pg_stat_activity
where application_name = 'mainstem loader' and datname = current_database() and pid <> pg_backend_pid()

-- name: settle_ledger
-- The ledger says what became of the events this time.
update raw.batch b
set loaded = r.loaded, duplicates = r.duplicates, rejected = r.rejected
from rebuild_vault.rebuild_batch r
where r.batch_id = b.batch_id and r.loaded_at is not null
  and (r.loaded, r.duplicates, r.rejected) <> (r.live_loaded, r.live_duplicates, r.live_rejected)

-- name: take_rejects
-- Events that are refused now and were not before.
insert into staging.rejected (tenant_id, raw_id, stage, code, reason, field, kind, origin, payload)
select r.tenant_id, r.raw_id, r.stage, r.code, r.reason, r.field, r.kind, r.origin, r.payload
from rebuild_vault.rebuild_rejected r
order by r.raw_id
on conflict (raw_id) where raw_id is not null do nothing

-- name: settle_rejects
-- Events that were refused before and are not now: they need no replay.
update staging.rejected l
set replayed_at = clock_timestamp()
from rebuild_vault.rebuild_batch b
where l.stage = 'load' and l.replayed_at is null
  and l.raw_id >= b.batch_id and l.raw_id < b.batch_id + b.events
  and b.loaded_at is not null and b.rejected <> b.live_rejected
  and not exists (select from rebuild_vault.rebuild_rejected r where r.raw_id = l.raw_id)
