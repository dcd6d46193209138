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
  -- a thread is what a pause can part: all events of a session id, or all of a visitor that have none.
  -- Its key is a hash that holds the tenant. `place` leads back to the stage for all that is left out here.
  select s.ctid as place, s.occurred_at, s.event_uid, s.kind = 'page.viewed' as is_view, x.explicit,
         case when x.explicit then s.session_hk else s.visitor_hk end as thread_hk,
         not x.explicit and s.is_bot as thread_bot
  from stage_site s
  cross join lateral (
    select s.session_hk <> '\x0000000000000000000000000000000000000000000000000000000000000000' as explicit) x
), marked as (
  select e.*,
         row_number() over (order by e.thread_hk, e.explicit, e.thread_bot, e.occurred_at, e.event_uid) as n,
         case when lag(e.occurred_at) over thread is null then true
              else not e.explicit and e.occurred_at - lag(e.occurred_at) over thread > interval '30 minutes'
         end as starts
  from event e
  window thread as (partition by e.thread_hk, e.explicit, e.thread_bot order by e.occurred_at, e.event_uid)
), numbered as (
  select m.*,
         count(*) filter (where m.starts) over (
           order by m.thread_hk, m.explicit, m.thread_bot, m.occurred_at, m.event_uid rows unbounded preceding) as run
  from marked m
), span as materialized (
  -- the first and the last page view by their number, which has always eight digits here
  select n.run, max(n.occurred_at) as ended_at, count(*)::integer as events,
         count(*) filter (where n.is_view)::integer as page_views,
         min(n.place) filter (where n.starts) as place,
         substr(min(((10000000 + n.n)::text || n.place) collate "C") filter (where n.is_view), 9)::tid as entry_place,
         substr(max(((10000000 + n.n)::text || n.place) collate "C") filter (where n.is_view), 9)::tid as exit_place
  from numbered n
  group by n.run
), mini as materialized (
  -- the sessions that the batch alone would make
  select p.run, o.tenant_id, o.explicit, case when o.explicit then o.session_hk else o.visitor_hk end as thread_hk,
         not o.explicit and o.is_bot as thread_bot, o.occurred_at as started_at, p.ended_at, o.event_uid as first_uid,
         p.events, p.page_views, e.occurred_at as entry_at, e.event_uid as entry_uid, e.page_bk as entry_page,
         x.occurred_at as exit_at, x.event_uid as exit_uid, x.page_bk as exit_page,
         o.session_hk, o.visitor_hk, o.is_bot, o.referrer_host, o.channel, o.campaign_hk, o.utm_source, o.utm_medium,
         o.utm_campaign, o.device, o.os, o.browser
  from span p
  join lateral (
    select s.*, s.session_hk <> '\x0000000000000000000000000000000000000000000000000000000000000000' as explicit
    from stage_site s where s.ctid = p.place) o on true
  left join stage_site e on e.ctid = p.entry_place
  left join stage_site x on x.ctid = p.exit_place
), near as materialized (
  -- Stored sessions that a mini-session touches, and how many such pairs its thread has. Those of one visitor are
  -- more than 30 minutes apart, so no more than the limit can touch: a short index scan, however long the history.
  -- The tenant is part of visitor_hk; compared as an expression it tempts no plan into another index.
  select m.run, m.thread_hk, m.thread_bot, count(*) over (partition by m.thread_hk, m.explicit, m.thread_bot) as pairs, s.*
  from mini m
  cross join lateral (
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
  ) s
), plain as (
  -- almost all: a mini-session that touches nothing, or one stored session that nothing else touches
  select m.tenant_id, m.explicit,
         coalesce(n.session_id, case when m.explicit then encode(substr(m.thread_hk, 1, 16), 'hex')::uuid
                                     else m.first_uid end) as session_id,
         least(m.started_at, n.started_at) as started_at, greatest(m.ended_at, n.ended_at) as ended_at,
         case when c.begins then m.first_uid else n.first_uid end as first_uid,
         m.events + coalesce(n.events, 0) as events, m.page_views + coalesce(n.page_views, 0) as page_views,
         case when c.enters then m.entry_at else n.entry_at end as entry_at,
         case when c.enters then m.entry_uid else n.entry_uid end as entry_uid,
         case when c.enters then m.entry_page else n.entry_page end as entry_page,
         case when c.leaves then m.exit_at else n.exit_at end as exit_at,
         case when c.leaves then m.exit_uid else n.exit_uid end as exit_uid,
         case when c.leaves then m.exit_page else n.exit_page end as exit_page,
         m.session_hk,
         case when c.begins then m.visitor_hk else n.visitor_hk end as visitor_hk,
         case when c.begins then m.is_bot else n.is_bot end as is_bot,
         case when c.begins then m.referrer_host else n.referrer_host end as referrer_host,
         case when c.begins then m.channel else n.channel end as channel,
         case when c.begins then m.campaign_hk else n.campaign_hk end as campaign_hk,
         case when c.begins then m.utm_source else n.utm_source end as utm_source,
         case when c.begins then m.utm_medium else n.utm_medium end as utm_medium,
         case when c.begins then m.utm_campaign else n.utm_campaign end as utm_campaign,
         case when c.begins then m.device else n.device end as device,
         case when c.begins then m.os else n.os end as os,
         case when c.begins then m.browser else n.browser end as browser
  from mini m
  left join near n on n.run = m.run
  cross join lateral (
    select coalesce((m.started_at, m.first_uid) < (n.started_at, n.first_uid), true) as begins,
           m.entry_at is not null and coalesce((m.entry_at, m.entry_uid) < (n.entry_at, n.entry_uid), true) as enters,
           m.exit_at is not null and coalesce((m.exit_at, m.exit_uid) > (n.exit_at, n.exit_uid), true) as leaves
    offset 0) c
  where n.pairs is null or n.pairs = 1
), piece as (
  -- the rest: threads in which several may join, to be merged as intervals
  select null::uuid as session_id, m.tenant_id, m.explicit, m.thread_hk, m.thread_bot, m.started_at, m.ended_at,
         m.first_uid, m.events, m.page_views,
         (m.session_hk, m.visitor_hk, m.is_bot, m.referrer_host, m.channel, m.campaign_hk, m.utm_source, m.utm_medium,
          m.utm_campaign, m.device, m.os, m.browser)::business.session_origin as origin,
         case when m.entry_at is not null then (m.entry_at, m.entry_uid, m.entry_page)::business.session_view end as entry,
         case when m.exit_at is not null then (m.exit_at, m.exit_uid, m.exit_page)::business.session_view end as exit
  from mini m
  where m.run in (select n.run from near n where n.pairs > 1)
  union all
  select distinct on (n.tenant_id, n.session_id)
         n.session_id, n.tenant_id, n.explicit, n.thread_hk, n.thread_bot, n.started_at, n.ended_at,
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
  select w.tenant_id, w.started_at, w.is_bot, 1 as sessions, (w.events = 1)::integer as bounces,
         (extract(epoch from w.ended_at - w.started_at) * 1000)::bigint as duration_ms
  from whole w
  union all
  select o.tenant_id, o.started_at, o.is_bot, -1, -o.is_bounce::integer, -o.duration_ms
  from (select distinct n.tenant_id, n.session_id, n.started_at, n.is_bot, n.is_bounce, n.duration_ms from near n) o
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

-- name: plan_freely
-- Undoes plan_by_index.
select set_config('enable_seqscan', 'on', false);
