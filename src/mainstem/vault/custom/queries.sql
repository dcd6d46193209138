-- Models of users: what is applied, what is loaded, and the facts that a backfill reads again.

-- name: relations
-- Tables and views of vault and business, with comment and primary key.
select n.nspname::text as schema, c.relname::text as name, c.relkind::text as kind,
       coalesce(obj_description(c.oid, 'pg_class'), '') as comment,
       (select array_agg(a.attname::text order by k.place)
        from pg_index i
        cross join lateral unnest(i.indkey::int2[]) with ordinality as k (number, place)
        join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number
        where i.indrelid = c.oid and i.indisprimary) as primary_key
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where n.nspname in ('vault', 'business') and c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition
order by n.nspname, c.relname

-- name: columns
-- Columns of those, in order.
select n.nspname::text as schema, c.relname::text as name, a.attname::text as column,
       format_type(a.atttypid, a.atttypmod) as type, a.attnotnull as required,
       coalesce(col_description(c.oid, a.attnum), '') as comment
from pg_attribute a
join pg_class c on c.oid = a.attrelid
join pg_namespace n on n.oid = c.relnamespace
where n.nspname in ('vault', 'business') and c.relkind in ('r', 'p', 'v') and not c.relispartition
  and a.attnum > 0 and not a.attisdropped
order by n.nspname, c.relname, a.attnum

-- name: applied
-- The model in force; no row where it is the built-in one alone.
select version, path, format, sha256, source from vault.model order by version desc limit 1

-- name: version
-- The number of the model in force.
select version from vault.model_state

-- name: loads
-- Which tables are loaded from which feeds.
select feed, table_name from vault.model_load order by feed, table_name

-- name: live
-- Those of them that loads fill.
select feed, table_name from vault.model_load where live_at is not null order by feed, table_name

-- name: pending
-- Those of them that wait for a backfill.
select feed, table_name from vault.model_load where live_at is null order by feed, table_name

-- name: wait_again
-- The tables of feed $1 wait once more; returns those that no other feed fills.
with again as (
  update vault.model_load set live_at = null where feed = $1 returning table_name
)
select distinct a.table_name
from again a
where not exists (select from vault.model_load l where l.table_name = a.table_name and l.feed <> $1)
order by a.table_name

-- name: make_ghosts
-- The ghost rows of table $1, for all tenants.
select vault.make_ghost($1::text::regclass, t.tenant_id) from platform.tenant t

-- name: shared
-- Tables of feed $1 that wait here, and are filled from other feeds already.
select w.table_name
from vault.model_load w
join vault.model_load l on l.table_name = w.table_name and l.feed <> w.feed and l.live_at is not null
where w.feed = $1 and w.live_at is null

-- name: lock_model
-- One change of the model at a time; whether it was to be had.
select pg_try_advisory_xact_lock(hashtext('vault.model'))

-- name: next_version
-- Puts the next model in force and returns its number.
update vault.model_state set version = version + 1 returning version

-- name: record_model
-- What was applied ($1 version, $2 path, $3 format, $4 SHA-256, $5 text, $6 statements).
insert into vault.model (version, path, format, sha256, source, changes) values ($1, $2, $3, $4, $5, $6)

-- name: add_load
-- Table $2 is to be loaded from feed $1, after a backfill.
insert into vault.model_load (feed, table_name) values ($1, $2) on conflict do nothing

-- name: drop_load
-- Table $2 is no longer loaded from feed $1.
delete from vault.model_load where feed = $1 and table_name = $2

-- name: go_live
-- Loads fill the waiting tables of feed $1 from now on.
update vault.model_load set live_at = clock_timestamp() where feed = $1 and live_at is null

-- name: hold_loads
-- Waits for the loads under way and holds off new ones until the transaction ends.
select vault.close_loads(clock_timestamp() - interval '1 microsecond')

-- name: tenants
-- Those with facts of kinds $1 or of kinds that begin with one of $2.
select t.tenant_id
from platform.tenant t
where exists (
  select from vault.nhl_event f
  where f.tenant_id = t.tenant_id and (f.kind = any ($1::text[]) or f.kind ^@ any ($2::text[])))
order by t.tenant_id

-- name: count_facts
-- How many of tenant $1 are of kinds $2, $3 and later than load time $4.
select count(*)
from vault.nhl_event f
where f.tenant_id = $1 and (f.kind = any ($2::text[]) or f.kind ^@ any ($3::text[])) and f.load_ts > $4

-- name: facts
-- Facts of tenant $1 of kinds $2, $3 and later than load time $4, in the order in which they were loaded.
select f.load_ts, f.raw_id, f.received_at, f.tenant_id, f.event_uid, f.kind, f.occurred_at, f.rsrc, f.subject, f.flags,
       f.data
from vault.nhl_event f
where f.tenant_id = $1 and (f.kind = any ($2::text[]) or f.kind ^@ any ($3::text[])) and f.load_ts > $4
order by f.load_ts, f.raw_id

-- name: closed
-- The last closed snapshot of table $1; null where there is none.
select max(as_of) from vault.snapshot where table_name = $1

-- name: clock
-- The time of the database, by which loads have theirs.
select clock_timestamp()

-- name: close_loads
-- Waits until no load is under way that has a time up to $1, and sees to it that none gets one.
select vault.close_loads($1)

-- name: record_snapshot
-- The snapshot of table $1 as of $2 is closed.
insert into vault.snapshot (table_name, as_of) values ($1, $2)
