-- What the site API reads: ledger, roll-ups and the newest raw rows; never a count of raw rows.

-- name: totals
-- Outcomes of all events of tenant $1, what waits, and when the newest came.
select coalesce(t.loaded, 0) as loaded, coalesce(t.duplicates, 0) as duplicates, coalesce(t.rejected, 0) as rejected,
       w.events as pending, l.received_to as latest_at
from (select $1::integer as tenant_id) x
left join business.pipeline_total t on t.tenant_id = x.tenant_id
cross join lateral (
  select coalesce(sum(b.events), 0)::bigint as events
  from raw.batch b where b.tenant_id = x.tenant_id and b.loaded_at is null) w
left join lateral (
  select b.received_to from raw.batch b
  where b.tenant_id = x.tenant_id order by b.committed_at desc, b.batch_id desc limit 1) l on true

-- name: minutes
-- Outcomes and latencies of tenant $1 per minute since $2.
select m.minute, m.loaded, m.latency_buckets
from business.pipeline_minute m
where m.tenant_id = $1 and m.minute >= $2
order by m.minute

-- name: metrics
-- The four figures of the SQL contract, for the transaction's tenant.
select s.status_type, s.metric_name, s.metric_value, s.last_updated from staging.get_pipeline_status() s

-- name: recent_events
-- The newest $2 raw events of tenant $1: those of its last batches, however long the history is.
select e.event_id, e.raw_event_id, e.raw_event_type, e.page_url, e.session_id, e.raw_load_date, e.staging_status,
       e.business_status, e.processing_ms, e.error_message
from (
  select b.*, sum(b.events) over (order by b.committed_at desc, b.batch_id desc) - b.events as newer
  from (
    select r.batch_id, r.events, r.received_from, r.received_to, r.committed_at
    from raw.batch r
    where r.tenant_id = $1
    order by r.committed_at desc, r.batch_id desc
    limit $2
  ) b
) p
cross join lateral (
  select d.*
  from staging.pipeline_dashboard d
  where d.raw_load_date between p.received_from and p.received_to
    and d.raw_event_id >= p.batch_id + greatest(0, p.events - ($2 - p.newer)) and d.raw_event_id < p.batch_id + p.events
  offset 0
) e
where p.newer < $2
order by e.raw_load_date desc, e.raw_event_id desc
limit $2

-- name: process
-- Waits up to $2 until the committed batches of tenant $1 are loaded, and counts what became of them.
select p.total, p.staged, p.loaded, p.rejected, p.pending,
       staging.processing_summary(p.total, p.staged, p.loaded, p.pending) as summary
from staging.process_pending($1, $2::interval) p

-- name: overview
-- Traffic of tenant $1 from $2 until before $3, in bins of $4 from $2 on, for people and/or bots ($5).
select date_bin($4::interval, h.hour, $2) as at, sum(h.visitors)::bigint as visitors, sum(h.sessions)::bigint as sessions,
       sum(h.page_views)::bigint as page_views, sum(h.events)::bigint as events, sum(h.bounces)::bigint as bounces,
       sum(h.duration_ms)::bigint as duration_ms
from business.site_hour h
where h.tenant_id = $1 and h.hour >= $2 and h.hour < $3 and h.is_bot = any ($5::boolean[])
group by 1
order by 1

-- name: breakdown
-- The $6 greatest values of dimension $2 of tenant $1 on the days $3 to before $4, for people and/or bots ($5).
select d.value, sum(d.events)::bigint as events, sum(d.page_views)::bigint as page_views,
       (sum(sum(d.events)) over ())::bigint as all_events, (sum(sum(d.page_views)) over ())::bigint as all_page_views
from business.site_day d
where d.tenant_id = $1 and d.dimension = $2 and d.day >= $3 and d.day < $4 and d.is_bot = any ($5::boolean[])
group by d.value
order by 2 desc, 3 desc, 1
limit $6
