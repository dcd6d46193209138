-- Checks of the ledger, the gate's totals and the partitions; those of the structures are compiled from the model.
-- Each has a query with `checked` and `violations`, and one with at most five examples.

-- name: safe_mark
-- A time up to which every load is committed, so visible to whoever looks now: the start of the oldest load under way.
select least(clock_timestamp(), min(coalesce(a.xact_start, 'epoch')))
from pg_locks l
join pg_database d on d.oid = l.database and d.datname = current_database()
left join pg_stat_activity a on a.pid = l.pid
where l.relation = 'vault.lane'::regclass and l.mode = 'RowExclusiveLock' and l.granted

-- name: verified
-- How far each check has come.
select check_name, subject, verified_to from vault.verified order by check_name, subject

-- name: verify
-- Remembers that check $1 of $2 has passed for all rows up to $3.
insert into vault.verified as v (check_name, subject, verified_to) values ($1, $2, $3)
on conflict (check_name, subject) do update
set verified_to = greatest(v.verified_to, excluded.verified_to), checked_at = excluded.checked_at

-- name: forget
-- Takes back what was verified of tables $1, or of all.
delete from vault.verified where $1::text[] is null or subject = any ($1)

-- name: proven
-- Whether a valid unique index over no more than columns $2 of table $1, and NOT NULL on all of them, prove the key.
select exists (
  select from pg_index i
  where i.indrelid = to_regclass($1) and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null
    and not exists (
      select from unnest(i.indkey::int2[]) k (attnum)
      left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
      where a.attname is null or a.attname <> all ($2::text[]) or not a.attnotnull))

-- name: balanced
-- Whether the constraint that keeps the ledger balanced is there and holds for all rows.
select exists (
  select from pg_constraint c
  where c.conrelid = 'raw.batch'::regclass and c.conname = 'batch_balance_check' and c.convalidated)

-- name: balance
-- Batches of which loaded + duplicates + rejected is not what was acknowledged.
select count(*) as checked,
       count(*) filter (
         where loaded + duplicates + rejected <> case when loaded_at is null then 0 else events end) as violations
from raw.batch

-- name: balance_examples
select format('batch %s of tenant %s: %s events, %s loaded, %s duplicates, %s rejected',
              batch_id, tenant_id, events, loaded, duplicates, rejected) as example
from raw.batch
where loaded + duplicates + rejected <> case when loaded_at is null then 0 else events end
order by batch_id
limit 5

-- name: totals
-- Tenants whose running totals differ from the ledger with what was pruned from it.
with ledger as (
  select tenant_id, sum(loaded) as loaded, sum(duplicates) as duplicates, sum(rejected) as rejected
  from (select tenant_id, loaded, duplicates, rejected from raw.batch where loaded_at is not null
        union all select tenant_id, loaded, duplicates, rejected from raw.pruned_total) b
  group by tenant_id
)
select count(*) as checked,
       count(*) filter (
         where (coalesce(p.loaded, 0), coalesce(p.duplicates, 0), coalesce(p.rejected, 0))
           is distinct from (coalesce(l.loaded, 0), coalesce(l.duplicates, 0), coalesce(l.rejected, 0))) as violations
from business.pipeline_total p full join ledger l using (tenant_id)

-- name: totals_examples
with ledger as (
  select tenant_id, sum(loaded) as loaded, sum(duplicates) as duplicates, sum(rejected) as rejected
  from (select tenant_id, loaded, duplicates, rejected from raw.batch where loaded_at is not null
        union all select tenant_id, loaded, duplicates, rejected from raw.pruned_total) b
  group by tenant_id
)
select format('tenant %s: %s loaded, %s duplicates, %s rejected in all; by the ledger %s, %s, %s', tenant_id,
              coalesce(p.loaded, 0), coalesce(p.duplicates, 0), coalesce(p.rejected, 0),
              coalesce(l.loaded, 0), coalesce(l.duplicates, 0), coalesce(l.rejected, 0)) as example
from business.pipeline_total p full join ledger l using (tenant_id)
where (coalesce(p.loaded, 0), coalesce(p.duplicates, 0), coalesce(p.rejected, 0))
  is distinct from (coalesce(l.loaded, 0), coalesce(l.duplicates, 0), coalesce(l.rejected, 0))
order by tenant_id
limit 5

-- name: gate_totals
-- Tenants with more or fewer messages in the gate than events were ever loaded.
select coalesce(sum(g.n), 0)::bigint as checked,
       count(*) filter (where coalesce(g.n, 0) <> coalesce(p.loaded, 0)) as violations
from (select tenant_id, count(*) as n from vault.event_seen group by tenant_id) g
full join business.pipeline_total p using (tenant_id)

-- name: gate_totals_examples
select format('tenant %s: %s messages in the gate, %s events loaded', tenant_id, coalesce(g.n, 0),
              coalesce(p.loaded, 0)) as example
from (select tenant_id, count(*) as n from vault.event_seen group by tenant_id) g
full join business.pipeline_total p using (tenant_id)
where coalesce(g.n, 0) <> coalesce(p.loaded, 0)
order by tenant_id
limit 5

-- name: waiting
-- Batches that wait for the loader since before $1.
select count(*) as checked, count(*) filter (where committed_at < $1) as violations
from raw.batch where loaded_at is null

-- name: waiting_examples
select format('batch %s of tenant %s: %s events, committed %s', batch_id, tenant_id, events, committed_at) as example
from raw.batch where loaded_at is null and committed_at < $1
order by committed_at
limit 5

-- name: default_partitions
-- Default partitions of landing and facts, with the column that parts them and the time from which upkeep makes
-- partitions ahead: what lies there from then on came while upkeep did not.
select d.oid::regclass::text as name, quote_ident(a.attname) as key,
       case when n.nspname = 'raw' then date_trunc('day', now(), 'UTC') else date_trunc('month', now(), 'UTC') end as since
from pg_partitioned_table p
join pg_class c on c.oid = p.partrelid
join pg_namespace n on n.oid = c.relnamespace and n.nspname in ('raw', 'vault')
join pg_class d on d.oid = p.partdefid
join pg_attribute a on a.attrelid = c.oid and a.attnum = p.partattrs[0]
order by 1
