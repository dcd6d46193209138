-- What the cache asks of PostgreSQL.

-- name: moment
-- What a load that begins now will at least see, the time, and which database this is since when.
select pg_current_snapshot()::text as snapshot, extract(epoch from clock_timestamp())::float8 as at,
       (select d.oid::text from pg_database d where d.datname = current_database())
         || '-' || (extract(epoch from pg_postmaster_start_time()) * 1000000)::bigint as server

-- name: tell
-- Tells every process of a change of this transaction, once it is committed.
select pg_current_xact_id()::text as xid,
       pg_notify('mainstem_cache', json_build_object(
         'type', 'changed', 'xid', pg_current_xact_id()::text, 'region', $1::text, 'pattern', $2::text)::text)

-- name: ask_to_warm
-- Asks every process to load what a tenant uses most.
select pg_notify('mainstem_cache', json_build_object('type', 'warm', 'tenant_id', $1::integer, 'by', $2::text)::text)
