-- The minutes of the processes.

-- name: add
-- Adds what a process counted to the minutes, in one order for all processes. Of two pools the busier one is kept.
insert into platform.minute as m (
  minute, kind, requests, errors_4xx, errors_5xx, ms_sum, ms_counts, cache_hits, cache_misses, ws_disconnects, spooled,
  pool_in_use, pool_max)
select r.minute, r.kind, r.requests, r.errors_4xx, r.errors_5xx, r.ms_sum, r.ms_counts, r.cache_hits, r.cache_misses,
       r.ws_disconnects, r.spooled, r.pool_in_use, r.pool_max
from jsonb_populate_recordset(null::platform.minute, $1::jsonb) r
order by r.minute, r.kind
on conflict (minute, kind) do update set
  requests = m.requests + excluded.requests,
  errors_4xx = m.errors_4xx + excluded.errors_4xx,
  errors_5xx = m.errors_5xx + excluded.errors_5xx,
  ms_sum = m.ms_sum + excluded.ms_sum,
  ms_counts = coalesce((select array_agg(coalesce(mine, 0) + coalesce(theirs, 0) order by n)
                        from unnest(m.ms_counts, excluded.ms_counts) with ordinality as b (mine, theirs, n)), '{}'),
  cache_hits = m.cache_hits + excluded.cache_hits,
  cache_misses = m.cache_misses + excluded.cache_misses,
  ws_disconnects = m.ws_disconnects + excluded.ws_disconnects,
  spooled = greatest(m.spooled, excluded.spooled),
  (pool_in_use, pool_max) = (
    select b.in_use, b.most from (values (m.pool_in_use, m.pool_max), (excluded.pool_in_use, excluded.pool_max)) b (in_use, most)
    order by b.in_use / greatest(b.most, 1)::double precision desc, b.most desc limit 1)

-- name: window
-- All minutes from $1 until before $2 as one row.
with rows as (
  select * from platform.minute where minute >= $1 and minute < $2)
select count(distinct minute)::integer as minutes, coalesce(sum(requests), 0)::bigint as requests,
       coalesce(sum(errors_4xx), 0)::bigint as errors_4xx, coalesce(sum(errors_5xx), 0)::bigint as errors_5xx,
       coalesce(sum(ms_sum), 0)::double precision as ms_sum,
       coalesce((select array_agg(b.took order by b.n)
                 from (select c.n, sum(c.took)::bigint as took
                       from rows r, unnest(r.ms_counts) with ordinality as c (took, n) group by c.n) b), '{}') as ms_counts,
       coalesce(sum(cache_hits), 0)::bigint as cache_hits, coalesce(sum(cache_misses), 0)::bigint as cache_misses,
       coalesce(sum(ws_disconnects), 0)::bigint as ws_disconnects, coalesce(max(spooled), 0)::bigint as spooled,
       coalesce((array_agg(array[pool_in_use, pool_max]
                           order by pool_in_use / greatest(pool_max, 1)::double precision desc, pool_max desc))[1:1],
                '{{0,0}}') as pool
from rows

-- name: prune
delete from platform.minute where minute < $1
