-- The archive's side of PostgreSQL. The text {columns} stands for the columns as they travel (columns.py).

-- name: try_lock
-- True for the one process of the database that may write archives now; held until the session lets go.
select pg_try_advisory_lock(hashtextextended('mainstem.events.archive', 0))

-- name: release_lock
select pg_advisory_unlock(hashtextextended('mainstem.events.archive', 0))

-- name: columns
-- Columns of a table in their order, with their types.
select a.attname::text, format_type(a.atttypid, null)
from pg_attribute a
where a.attrelid = $1::text::regclass and a.attnum > 0 and not a.attisdropped
order by a.attnum

-- name: days
-- Days before $1 ($2 is its beginning) that have a partition or late events, and no event of an unloaded batch.
select d.day
from (
  select p.day from raw.days() p
  union
  select (e.received_at at time zone 'UTC')::date from raw.event_default e
  where e.received_at < $2 and isfinite(e.received_at)
) d
where d.day < $1 and not raw.is_waiting(d.day)
order by d.day

-- name: count_events
-- About how many events a day has: an estimate where it has a partition, for the progress bar.
select coalesce(
  (select greatest(c.reltuples, 0)::bigint from pg_class c
   where c.oid = to_regclass('raw.event_' || to_char($1::date, 'YYYYMMDD'))), 0)

-- name: forget_archived
drop table if exists pg_temp.archived

-- name: make_archived
-- What is in the files of a day, as read back from them.
create temporary table archived (part integer not null, raw_id bigint not null, hash bigint not null)

-- name: index_archived
create index on pg_temp.archived (raw_id)

-- name: analyze_archived
analyze pg_temp.archived

-- name: in_index_order
-- The primary key has the order that is asked for: a sort would spill the whole day.
set local enable_sort = off

-- name: events
-- The events of a day ($1 to $2).
select {columns}
from raw.event r
where r.received_at >= $1 and r.received_at < $2
order by r.received_at, r.raw_id

-- name: new_events
-- The events of a day ($1 to $2) that its files don't have.
select {columns}
from raw.event r
where r.received_at >= $1 and r.received_at < $2
  and not exists (
    select from pg_temp.archived a where a.raw_id = r.raw_id and a.hash = raw.row_hash(r))
order by r.received_at, r.raw_id

-- name: live_events
-- The events since $1.
select {columns} from raw.event r where r.received_at >= $1 order by r.received_at, r.raw_id

-- name: live_batches
-- The ledger rows of batches that came in since $1.
select {columns} from raw.batch r where r.received_to >= $1 order by r.batch_id

-- name: batches
-- The ledger rows of the events in part $1; a batch has 65,536 events at most.
select {columns}
from raw.batch r
where r.batch_id between (select min(a.raw_id) - 65535 from pg_temp.archived a where a.part = $1)
                     and (select max(a.raw_id) from pg_temp.archived a where a.part = $1)
  and exists (
    select from pg_temp.archived a
    where a.part = $1 and a.raw_id >= r.batch_id and a.raw_id < r.batch_id + r.events)
order by r.batch_id

-- name: be_impatient
set local lock_timeout = '2s'

-- name: hold_day
-- Nobody adds to the day until the transaction ends; false when it has no partition.
select raw.hold_day($1)

-- name: is_waiting
select raw.is_waiting($1)

-- name: compare
-- How many events a day ($1 to $2) has, and how many of them its files don't have just so.
select count(*), count(*) filter (where a.raw_id is null)
from (
  select r.raw_id, raw.row_hash(r) as hash from raw.event r where r.received_at >= $1 and r.received_at < $2
) e
left join pg_temp.archived a on a.raw_id = e.raw_id and a.hash = e.hash

-- name: total_batches
-- Hash total of the ledger rows given.
select coalesce(sum(raw.row_hash(r)), 0) from raw.batch r where r.batch_id = any ($1::bigint[])

-- name: drop_day
select raw.drop_day($1)
