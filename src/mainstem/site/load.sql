-- What the business layer makes of the digest of one load (mainstem/site/digest.py): run by the loader after the vault,
-- in the same transaction, once for every set of new events. The temp tables digest_… hold the digest.
-- The lane is locked: no other load touches the same tenant meanwhile.

-- name: sessions
-- Sessions, and their part of the hourly roll-up by the difference between old and new rows.
-- Events only ever add points, and the only rule that parts sessions is a pause of more than 30 minutes between
-- neighbours; one more point can shorten a pause, never lengthen one. So a late event starts, extends or
-- joins sessions and never splits one. Merging intervals of the batch with the stored ones next to them
-- therefore gives what a computation over all events gives (business.sessions_from_scratch).
with mini as (
  -- the sessions that the batch alone would make; the key of a thread is a hash that holds the tenant
  select m.*, case when m.explicit then m.session_hk else m.visitor_hk end as thread_hk,
         not m.explicit and m.is_bot as thread_bot
  from digest_session m
), met as materialized (
  -- Stored sessions that a mini-session touches, and how many such pairs its thread has. Those of one visitor are
  -- more than 30 minutes apart, so no more than the limit can touch: a short index scan, however long the history.
  -- The tenant is part of visitor_hk; compared as an expression it tempts no plan into another index.
  -- One row for each pair, and one for a mini-session that touches none: joined once, whatever the planner expects.
  select m.*, count(s.session_id) over (partition by m.thread_hk, m.explicit, m.thread_bot) as pairs, s.session_id,
         s.started_at as old_started_at, s.ended_at as old_ended_at, s.first_uid as old_first_uid,
         s.events as old_events, s.page_views as old_page_views, s.entry_at as old_entry_at,
         s.entry_uid as old_entry_uid, s.entry_page as old_entry_page, s.exit_at as old_exit_at,
         s.exit_uid as old_exit_uid, s.exit_page as old_exit_page, s.session_hk as old_session_hk,
         s.visitor_hk as old_visitor_hk, s.is_bot as old_is_bot, s.referrer_host as old_referrer_host,
         s.channel as old_channel, s.campaign_hk as old_campaign_hk, s.utm_source as old_utm_source,
         s.utm_medium as old_utm_medium, s.utm_campaign as old_utm_campaign, s.device as old_device,
         s.os as old_os, s.browser as old_browser, s.duration_ms as old_duration_ms,
         s.is_bounce as old_is_bounce
  from mini m
  left join lateral (
    select r.*
    from (
      select x.*
      from business.session x
      where not m.explicit and not x.explicit and x.tenant_id + 0 = m.tenant_id
        and x.visitor_hk = m.thread_hk and x.is_bot = m.thread_bot
        and x.started_at <= m.ended_at + interval '30 minutes'
      order by x.started_at desc
      limit 4 + floor(extract(epoch from m.ended_at - m.started_at) / 1800)::bigint
    ) r
    where r.ended_at >= m.started_at - interval '30 minutes'
    union all
    select x.*
    from business.session x
    where m.explicit and x.tenant_id = m.tenant_id
      and x.session_id = encode(substr(m.thread_hk, 1, 16), 'hex')::uuid
  ) s on true
), near as (
  -- the stored sessions
  select distinct on (m.tenant_id, m.session_id)
         m.tenant_id, m.session_id, m.explicit, m.thread_hk, m.thread_bot, m.pairs,
         m.old_started_at as started_at, m.old_ended_at as ended_at, m.old_first_uid as first_uid, m.old_events as
         events, m.old_page_views as page_views, m.old_entry_at as entry_at, m.old_entry_uid as entry_uid,
         m.old_entry_page as entry_page, m.old_exit_at as exit_at, m.old_exit_uid as exit_uid, m.old_exit_page as
         exit_page, m.old_session_hk as session_hk, m.old_visitor_hk as visitor_hk, m.old_is_bot as is_bot,
         m.old_referrer_host as referrer_host, m.old_channel as channel, m.old_campaign_hk as campaign_hk,
         m.old_utm_source as utm_source, m.old_utm_medium as utm_medium, m.old_utm_campaign as utm_campaign,
         m.old_device as device, m.old_os as os, m.old_browser as browser, m.old_duration_ms as duration_ms,
         m.old_is_bounce as is_bounce
  from met m
  where m.session_id is not null
), plain as (
  -- almost all: a mini-session that touches nothing, or one stored session that nothing else touches
  select m.tenant_id, m.explicit,
         coalesce(m.session_id, case when m.explicit then encode(substr(m.thread_hk, 1, 16), 'hex')::uuid
                                     else m.first_uid end) as session_id,
         least(m.started_at, m.old_started_at) as started_at, greatest(m.ended_at, m.old_ended_at) as ended_at,
         case when c.begins then m.first_uid else m.old_first_uid end as first_uid,
         m.events + coalesce(m.old_events, 0) as events, m.page_views + coalesce(m.old_page_views, 0) as page_views,
         case when c.enters then m.entry_at else m.old_entry_at end as entry_at,
         case when c.enters then m.entry_uid else m.old_entry_uid end as entry_uid,
         case when c.enters then m.entry_page else m.old_entry_page end as entry_page,
         case when c.leaves then m.exit_at else m.old_exit_at end as exit_at,
         case when c.leaves then m.exit_uid else m.old_exit_uid end as exit_uid,
         case when c.leaves then m.exit_page else m.old_exit_page end as exit_page,
         m.session_hk,
         case when c.begins then m.visitor_hk else m.old_visitor_hk end as visitor_hk,
         case when c.begins then m.is_bot else m.old_is_bot end as is_bot,
         case when c.begins then m.referrer_host else m.old_referrer_host end as referrer_host,
         case when c.begins then m.channel else m.old_channel end as channel,
         case when c.begins then m.campaign_hk else m.old_campaign_hk end as campaign_hk,
         case when c.begins then m.utm_source else m.old_utm_source end as utm_source,
         case when c.begins then m.utm_medium else m.old_utm_medium end as utm_medium,
         case when c.begins then m.utm_campaign else m.old_utm_campaign end as utm_campaign,
         case when c.begins then m.device else m.old_device end as device,
         case when c.begins then m.os else m.old_os end as os,
         case when c.begins then m.browser else m.old_browser end as browser
  from met m
  cross join lateral (
    select coalesce((m.started_at, m.first_uid) < (m.old_started_at, m.old_first_uid), true) as begins,
           m.entry_at is not null and coalesce((m.entry_at, m.entry_uid) < (m.old_entry_at, m.old_entry_uid), true) as enters,
           m.exit_at is not null and coalesce((m.exit_at, m.exit_uid) > (m.old_exit_at, m.old_exit_uid), true) as leaves
    offset 0) c
  where m.session_id is null or m.pairs = 1
), piece as (
  -- the rest: threads in which several may join, to be merged as intervals
  select distinct on (m.first_uid, m.tenant_id)
         null::uuid as session_id, m.tenant_id, m.explicit, m.thread_hk, m.thread_bot, m.started_at, m.ended_at,
         m.first_uid, m.events, m.page_views,
         (m.session_hk, m.visitor_hk, m.is_bot, m.referrer_host, m.channel, m.campaign_hk, m.utm_source, m.utm_medium,
          m.utm_campaign, m.device, m.os, m.browser)::business.session_origin as origin,
         case when m.entry_at is not null then (m.entry_at, m.entry_uid, m.entry_page)::business.session_view end as entry,
         case when m.exit_at is not null then (m.exit_at, m.exit_uid, m.exit_page)::business.session_view end as exit
  from met m
  where m.session_id is not null and m.pairs > 1
  union all
  select n.session_id, n.tenant_id, n.explicit, n.thread_hk, n.thread_bot, n.started_at, n.ended_at,
         n.first_uid, n.events, n.page_views,
         (n.session_hk, n.visitor_hk, n.is_bot, n.referrer_host, n.channel, n.campaign_hk, n.utm_source, n.utm_medium,
          n.utm_campaign, n.device, n.os, n.browser)::business.session_origin,
         case when n.entry_at is not null then (n.entry_at, n.entry_uid, n.entry_page)::business.session_view end,
         case when n.exit_at is not null then (n.exit_at, n.exit_uid, n.exit_page)::business.session_view end
  from near n
  where n.pairs > 1
), parted as (
  select p.*,
         case when row_number() over thread = 1 then true
              else p.started_at - max(p.ended_at) over (
                     thread rows between unbounded preceding and 1 preceding) > interval '30 minutes'
         end as starts
  from piece p
  window thread as (partition by p.thread_hk, p.thread_bot order by p.started_at, p.first_uid, p.session_id)
), island as (
  select p.*,
         count(*) filter (where p.starts) over (
           partition by p.thread_hk, p.thread_bot order by p.started_at, p.first_uid, p.session_id) as run
  from parted p
), merged as materialized (
  select i.tenant_id, i.explicit,
         -- the earliest stored session goes on; others that it meets are absorbed
         coalesce((array_agg(i.session_id order by i.started_at, i.first_uid) filter (where i.session_id is not null))[1],
                  (array_agg(i.first_uid order by i.started_at, i.first_uid))[1]) as session_id,
         min(i.started_at) as started_at, max(i.ended_at) as ended_at,
         sum(i.events)::integer as events, sum(i.page_views)::integer as page_views,
         (array_agg(i.first_uid order by i.started_at, i.first_uid))[1] as first_uid,
         (array_agg(i.origin order by i.started_at, i.first_uid))[1] as origin,
         (array_agg(i.entry order by i.entry) filter (where i.entry is not null))[1] as entry,
         (array_agg(i.exit order by i.exit desc) filter (where i.exit is not null))[1] as exit
  from island i
  group by i.tenant_id, i.explicit, i.thread_hk, i.thread_bot, i.run
), whole as materialized (
  select p.* from plain p
  union all
  select m.tenant_id, m.explicit, m.session_id, m.started_at, m.ended_at, m.first_uid, m.events, m.page_views,
         (m.entry).at, (m.entry).uid, (m.entry).page, (m.exit).at, (m.exit).uid, (m.exit).page,
         (m.origin).session_hk, (m.origin).visitor_hk, (m.origin).is_bot, (m.origin).referrer_host, (m.origin).channel,
         (m.origin).campaign_hk, (m.origin).utm_source, (m.origin).utm_medium, (m.origin).utm_campaign,
         (m.origin).device, (m.origin).os, (m.origin).browser
  from merged m
), written as (
  insert into business.session as s (
    tenant_id, explicit, session_id, started_at, ended_at, first_uid, events, page_views,
    entry_at, entry_uid, entry_page, exit_at, exit_uid, exit_page, session_hk, visitor_hk, is_bot,
    referrer_host, channel, campaign_hk, utm_source, utm_medium, utm_campaign, device, os, browser)
  select w.*
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
  select n.tenant_id, n.session_id from near n where n.pairs > 1
  except
  select m.tenant_id, m.session_id from merged m
), absorbed as (
  delete from business.session s
  where s.tenant_id = any (array(select distinct g.tenant_id from gone g))
    and s.session_id = any (array(select g.session_id from gone g))
), change as (
  select w.tenant_id, w.started_at, w.is_bot, 1 as sessions, (w.page_views < 2 and w.ended_at - w.started_at < interval '10 seconds')::integer as bounces,
         (extract(epoch from w.ended_at - w.started_at) * 1000)::bigint as duration_ms
  from whole w
  union all
  select o.tenant_id, o.started_at, o.is_bot, -1, -o.is_bounce::integer, -o.duration_ms
  from near o
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

-- name: hours
-- Events and page views by the hour.
insert into business.site_hour as h (tenant_id, hour, is_bot, events, page_views)
select n.tenant_id, to_timestamp(n.hour * 3600), n.is_bot, n.events, n.page_views
from digest_hour n
order by 1, 2, 3
on conflict (tenant_id, hour, is_bot) do update set
  events = h.events + excluded.events, page_views = h.page_views + excluded.page_views;

-- name: visitors
-- Who came on which day, and the hourly first visits of the day.
with seen as materialized (
  select * from digest_visitor
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
  select c.tenant_id, date_trunc('hour', c.first_at, 'UTC') as hour, c.is_bot, count(*) as visitors
  from changed c
  group by 1, 2, 3
  union all
  -- an earlier event of the same day was found: the visitor came in that hour and not in this one
  select c.tenant_id, date_trunc('hour', c.known_at, 'UTC'), c.is_bot, -count(*)
  from changed c
  where c.known_at is not null
  group by 1, 2, 3
)
insert into business.site_hour as h (tenant_id, hour, is_bot, visitors)
select c.tenant_id, c.hour, c.is_bot, sum(c.visitors)
from counted c
group by 1, 2, 3
order by 1, 2, 3
on conflict (tenant_id, hour, is_bot) do update set visitors = h.visitors + excluded.visitors;

-- name: dimensions
-- Events and page views per day and value of each dimension.
insert into business.site_day as d (tenant_id, dimension, day, value, is_bot, events, page_views)
select n.tenant_id, n.dimension, n.day, n.value, n.is_bot, n.events, n.page_views
from digest_value n
order by 1, 2, 3, 4, 5
on conflict (tenant_id, dimension, day, value, is_bot) do update set
  events = d.events + excluded.events, page_views = d.page_views + excluded.page_views;
