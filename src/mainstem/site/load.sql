-- What the business layer makes of one load: run by the loader after the vault, in the same transaction, once
-- for every set of new events on stage_site. The lane is locked: no other load touches the same tenant meanwhile.

-- name: plan_by_index
-- Plans are kept as long as a connection, and the first ones are made when the tables are small: a plan that reads
-- a whole table would stay when it has grown. plan_freely undoes this; a rollback does, too.
select set_config('enable_seqscan', 'off', false);

-- name: sessions
-- Sessions, and their part of the hourly roll-up by the difference between old and new rows.
-- Events only ever add points, and the only rule that parts sessions is a pause of more than 30 minutes between
-- neighbours; one more point can shorten a pause, never lengthen one. So a late event starts, extends or
-- joins sessions and never splits one. Merging intervals of the batch with the stored ones next to them
-- therefore gives what a computation over all events gives (business.sessions_from_scratch).
with event as (
  select s.tenant_id, s.occurred_at, s.event_uid,
         s.session_hk <> '\x0000000000000000000000000000000000000000000000000000000000000000' as explicit,
         s.session_hk, s.visitor_hk, s.is_bot, s.referrer_host, s.channel, s.campaign_hk,
         s.utm_source, s.utm_medium, s.utm_campaign, s.device, s.os, s.browser,
         case when s.kind = 'page.viewed'
              then (s.occurred_at, s.event_uid, s.page_bk)::business.session_view end as view
  from stage_site s
), threaded as (
  -- one thread is what a pause can part: all events of a session id, or all of a visitor that have none
  select e.*, case when e.explicit then e.session_hk else e.visitor_hk end as thread_hk,
         not e.explicit and e.is_bot as thread_bot
  from event e
), marked as (
  select t.*,
         case when lag(t.occurred_at) over thread is null then true
              else not t.explicit and t.occurred_at - lag(t.occurred_at) over thread > interval '30 minutes'
         end as starts
  from threaded t
  window thread as (partition by t.tenant_id, t.explicit, t.thread_hk, t.thread_bot order by t.occurred_at, t.event_uid)
), numbered as (
  select m.*, count(*) filter (where m.starts) over (
           partition by m.tenant_id, m.explicit, m.thread_hk, m.thread_bot order by m.occurred_at, m.event_uid) as run
  from marked m
), mini as materialized (
  select n.tenant_id, n.explicit, n.thread_hk, n.thread_bot, n.run,
         min(n.occurred_at) as started_at, max(n.occurred_at) as ended_at,
         count(*)::integer as events, count(n.view)::integer as page_views,
         (array_agg(n.event_uid) filter (where n.starts))[1] as first_uid,
         (array_agg((n.session_hk, n.visitor_hk, n.is_bot, n.referrer_host, n.channel, n.campaign_hk, n.utm_source,
                     n.utm_medium, n.utm_campaign, n.device, n.os, n.browser)::business.session_origin)
            filter (where n.starts))[1] as origin,
         (array_agg(n.view order by n.occurred_at, n.event_uid) filter (where n.view is not null))[1] as entry,
         (array_agg(n.view order by n.occurred_at desc, n.event_uid desc) filter (where n.view is not null))[1] as exit
  from numbered n
  group by n.tenant_id, n.explicit, n.thread_hk, n.thread_bot, n.run
), near_id as materialized (
  -- stored sessions that a mini-session of the batch touches. Those of one visitor never overlap, so at most
  -- one of them starts before the reach of the mini-session: two index probes, however long the history is.
  -- The tenant is part of visitor_hk; compared as an expression it tempts no plan into another index.
  select distinct f.tenant_id, f.session_id
  from mini m
  cross join lateral (
    select s.tenant_id, s.session_id
    from business.session s
    where not m.explicit and s.tenant_id + 0 = m.tenant_id and not s.explicit
      and s.visitor_hk = m.thread_hk and s.is_bot = m.thread_bot
      and s.started_at between m.started_at - interval '30 minutes' and m.ended_at + interval '30 minutes'
    union all
    select p.tenant_id, p.session_id
    from (
      select s.tenant_id, s.session_id, s.ended_at
      from business.session s
      where not m.explicit and s.tenant_id + 0 = m.tenant_id and not s.explicit
        and s.visitor_hk = m.thread_hk and s.is_bot = m.thread_bot
        and s.started_at < m.started_at - interval '30 minutes'
      order by s.started_at desc
      limit 1
    ) p
    where p.ended_at >= m.started_at - interval '30 minutes'
    union all
    select m.tenant_id, encode(substr(m.thread_hk, 1, 16), 'hex')::uuid
    where m.explicit
  ) f
), near as materialized (
  select s.*
  from near_id i
  cross join lateral (
    select x.* from business.session x where x.tenant_id = i.tenant_id and x.session_id = i.session_id offset 0) s
), piece as (
  select null::uuid as session_id, m.tenant_id, m.explicit, m.thread_hk, m.thread_bot, m.started_at, m.ended_at,
         m.events, m.page_views, m.first_uid, m.origin, m.entry, m.exit
  from mini m
  union all
  select n.session_id, n.tenant_id, n.explicit, case when n.explicit then n.session_hk else n.visitor_hk end,
         not n.explicit and n.is_bot, n.started_at, n.ended_at, n.events, n.page_views, n.first_uid,
         (n.session_hk, n.visitor_hk, n.is_bot, n.referrer_host, n.channel, n.campaign_hk, n.utm_source, n.utm_medium,
          n.utm_campaign, n.device, n.os, n.browser)::business.session_origin,
         case when n.entry_at is not null then (n.entry_at, n.entry_uid, n.entry_page)::business.session_view end,
         case when n.exit_at is not null then (n.exit_at, n.exit_uid, n.exit_page)::business.session_view end
  from near n
), parted as (
  select p.*,
         case when row_number() over thread = 1 then true
              else not p.explicit and p.started_at - max(p.ended_at) over (
                     thread rows between unbounded preceding and 1 preceding) > interval '30 minutes'
         end as starts
  from piece p
  window thread as (
    partition by p.tenant_id, p.explicit, p.thread_hk, p.thread_bot order by p.started_at, p.ended_at, p.first_uid)
), island as (
  select p.*, count(*) filter (where p.starts) over (
           partition by p.tenant_id, p.explicit, p.thread_hk, p.thread_bot
           order by p.started_at, p.ended_at, p.first_uid) as run
  from parted p
), whole as materialized (
  select i.tenant_id, i.explicit,
         -- the earliest stored session goes on; others that it meets are absorbed
         coalesce((array_agg(i.session_id order by i.started_at, i.first_uid) filter (where i.session_id is not null))[1],
                  case when i.explicit then encode(substr(i.thread_hk, 1, 16), 'hex')::uuid
                       else (array_agg(i.first_uid order by i.started_at, i.first_uid))[1] end) as session_id,
         min(i.started_at) as started_at, max(i.ended_at) as ended_at,
         sum(i.events)::integer as events, sum(i.page_views)::integer as page_views,
         (array_agg(i.first_uid order by i.started_at, i.first_uid))[1] as first_uid,
         (array_agg(i.origin order by i.started_at, i.first_uid))[1] as origin,
         (array_agg(i.entry order by i.entry) filter (where i.entry is not null))[1] as entry,
         (array_agg(i.exit order by i.exit desc) filter (where i.exit is not null))[1] as exit
  from island i
  group by i.tenant_id, i.explicit, i.thread_hk, i.thread_bot, i.run
), written as (
  insert into business.session as s (
    tenant_id, session_id, explicit, session_hk, visitor_hk, is_bot, started_at, ended_at, first_uid, events, page_views,
    entry_at, entry_uid, entry_page, exit_at, exit_uid, exit_page, referrer_host, channel, campaign_hk,
    utm_source, utm_medium, utm_campaign, device, os, browser)
  select w.tenant_id, w.session_id, w.explicit, (w.origin).session_hk, (w.origin).visitor_hk, (w.origin).is_bot,
         w.started_at, w.ended_at, w.first_uid, w.events, w.page_views,
         (w.entry).at, (w.entry).uid, (w.entry).page, (w.exit).at, (w.exit).uid, (w.exit).page,
         (w.origin).referrer_host, (w.origin).channel, (w.origin).campaign_hk,
         (w.origin).utm_source, (w.origin).utm_medium, (w.origin).utm_campaign,
         (w.origin).device, (w.origin).os, (w.origin).browser
  from whole w
  order by w.tenant_id, w.session_id
  on conflict (tenant_id, session_id) do update set
    visitor_hk = excluded.visitor_hk, is_bot = excluded.is_bot,
    started_at = excluded.started_at, ended_at = excluded.ended_at, first_uid = excluded.first_uid,
    events = excluded.events, page_views = excluded.page_views,
    entry_at = excluded.entry_at, entry_uid = excluded.entry_uid, entry_page = excluded.entry_page,
    exit_at = excluded.exit_at, exit_uid = excluded.exit_uid, exit_page = excluded.exit_page,
    referrer_host = excluded.referrer_host, channel = excluded.channel, campaign_hk = excluded.campaign_hk,
    utm_source = excluded.utm_source, utm_medium = excluded.utm_medium, utm_campaign = excluded.utm_campaign,
    device = excluded.device, os = excluded.os, browser = excluded.browser
), gone as materialized (
  select n.tenant_id, n.session_id from near n
  except
  select w.tenant_id, w.session_id from whole w
), absorbed as (
  delete from business.session s
  where s.tenant_id = any (array(select distinct g.tenant_id from gone g))
    and s.session_id = any (array(select g.session_id from gone g))
), change as (
  select w.tenant_id, w.started_at, (w.origin).is_bot as is_bot, 1 as sessions, (w.events = 1)::integer as bounces,
         (extract(epoch from w.ended_at - w.started_at) * 1000)::bigint as duration_ms
  from whole w
  union all
  select n.tenant_id, n.started_at, n.is_bot, -1, -n.is_bounce::integer, -n.duration_ms
  from near n
)
insert into business.site_hour as h (tenant_id, hour, is_bot, sessions, bounces, duration_ms)
select c.tenant_id, date_trunc('hour', c.started_at, 'UTC'), c.is_bot, sum(c.sessions), sum(c.bounces), sum(c.duration_ms)
from change c
group by 1, 2, 3
having sum(c.sessions) <> 0 or sum(c.bounces) <> 0 or sum(c.duration_ms) <> 0
order by 1, 2, 3
on conflict (tenant_id, hour, is_bot) do update set
  sessions = h.sessions + excluded.sessions, bounces = h.bounces + excluded.bounces,
  duration_ms = h.duration_ms + excluded.duration_ms;

-- name: visitors
-- Who came on which day, and the hourly events, page views and first visits of the day.
with seen as materialized (
  select s.tenant_id, (s.occurred_at at time zone 'UTC')::date as day, s.visitor_hk, s.is_bot,
         min(s.occurred_at) as first_at
  from stage_site s
  group by 1, 2, 3, 4
), changed as materialized (
  select s.*, d.first_at as known_at
  from seen s
  left join lateral (
    select v.first_at from business.visitor_day v
    where v.tenant_id = s.tenant_id and v.day = s.day and v.visitor_hk = s.visitor_hk and v.is_bot = s.is_bot
    offset 0) d on true
  where d.first_at is null or s.first_at < d.first_at
), written as (
  insert into business.visitor_day (tenant_id, day, visitor_hk, is_bot, first_at)
  select c.tenant_id, c.day, c.visitor_hk, c.is_bot, c.first_at
  from changed c
  order by 1, 2, 3, 4
  on conflict (tenant_id, day, visitor_hk, is_bot) do update set first_at = excluded.first_at
), counted as (
  select s.tenant_id, date_trunc('hour', s.occurred_at, 'UTC') as hour, s.is_bot, count(*) as events,
         count(*) filter (where s.kind = 'page.viewed') as page_views, 0::bigint as visitors
  from stage_site s
  group by 1, 2, 3
  union all
  select c.tenant_id, date_trunc('hour', c.first_at, 'UTC'), c.is_bot, 0, 0, count(*)
  from changed c
  group by 1, 2, 3
  union all
  -- an earlier event of the same day was found: the visitor came in that hour and not in this one
  select c.tenant_id, date_trunc('hour', c.known_at, 'UTC'), c.is_bot, 0, 0, -count(*)
  from changed c
  where c.known_at is not null
  group by 1, 2, 3
)
insert into business.site_hour as h (tenant_id, hour, is_bot, events, page_views, visitors)
select c.tenant_id, c.hour, c.is_bot, sum(c.events), sum(c.page_views), sum(c.visitors)
from counted c
group by 1, 2, 3
order by 1, 2, 3
on conflict (tenant_id, hour, is_bot) do update set
  events = h.events + excluded.events, page_views = h.page_views + excluded.page_views,
  visitors = h.visitors + excluded.visitors;

-- name: dimensions
-- Events and page views per day and value of each dimension.
insert into business.site_day as d (tenant_id, dimension, day, value, is_bot, events, page_views)
select g.tenant_id, v.dimension, g.day, v.value, g.is_bot, sum(g.events), sum(g.page_views)
from (
  select s.tenant_id, (s.occurred_at at time zone 'UTC')::date as day, s.is_bot, s.page_bk, s.referrer_host, s.channel,
         s.utm_source, s.utm_medium, s.utm_campaign, s.device, s.os, s.browser, s.event_type,
         count(*) as events, count(*) filter (where s.kind = 'page.viewed') as page_views
  from stage_site s
  group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13
) g
cross join lateral (values
  ('page', g.page_bk), ('referrer', g.referrer_host), ('channel', g.channel), ('source', g.utm_source),
  ('medium', g.utm_medium), ('campaign', g.utm_campaign), ('device', g.device), ('os', g.os),
  ('browser', g.browser), ('event_type', g.event_type)) v (dimension, value)
where v.value is not null
group by 1, 2, 3, 4, 5
order by 1, 2, 3, 4, 5
on conflict (tenant_id, dimension, day, value, is_bot) do update set
  events = d.events + excluded.events, page_views = d.page_views + excluded.page_views;

-- name: plan_freely
-- Undoes plan_by_index.
select set_config('enable_seqscan', 'on', false);
