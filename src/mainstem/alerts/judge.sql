-- What a round of judging reads and writes.

-- name: try_lead
-- One process of the cluster judges at a time; the lock goes with the session.
select pg_try_advisory_lock(hashtextextended('mainstem.alerts', 0))

-- name: stop_leading
select pg_advisory_unlock(hashtextextended('mainstem.alerts', 0))

-- name: begin_round
-- Takes the round at $1, unless one was less than $2 ago. One from the future is of a clock that was wrong.
update alerts.round set at = $1
where at <= $1::timestamptz - $2::interval or at > $1::timestamptz + $2::interval
returning at

-- name: last_round
-- When the last round was; null: there was none yet.
select nullif(at, '-infinity') from alerts.round

-- name: instances
-- Where rules stand, of all tenants, with what has become of their alerts.
select i.*, a.status as alert_status
from alerts.instance i left join alerts.alert a on a.alert_id = i.alert_id
order by i.tenant_id, i.rule_id, i.fingerprint

-- name: instances_of
-- Where the rules of tenant $1 stand.
select i.*, a.status as alert_status
from alerts.instance i left join alerts.alert a on a.alert_id = i.alert_id
where i.tenant_id = $1
order by i.rule_id, i.fingerprint
for update of i

-- name: keep
-- Writes where rules stand.
insert into alerts.instance as i (
  rule_id, fingerprint, tenant_id, labels, phase, since, clear_since, seen_at, value, volume, alert_id)
select r.rule_id, r.fingerprint, $1, r.labels, r.phase, r.since, r.clear_since, r.seen_at, r.value, r.volume, r.alert_id
from jsonb_populate_recordset(null::alerts.instance, $2::jsonb) r
order by r.rule_id, r.fingerprint
on conflict (rule_id, fingerprint) do update set
  phase = excluded.phase, since = excluded.since, clear_since = excluded.clear_since, seen_at = excluded.seen_at,
  value = excluded.value, volume = excluded.volume, alert_id = excluded.alert_id

-- name: forget
-- Deletes what is clear again.
delete from alerts.instance i
using unnest($1::integer[], $2::text[]) as gone (rule_id, fingerprint)
where i.rule_id = gone.rule_id and i.fingerprint = gone.fingerprint

-- name: orphans
-- Open alerts of rules that nobody judges any more: deleted, or switched off.
select a.tenant_id, array_agg(a.alert_id order by a.alert_id) as ids
from alerts.alert a
where a.source = 'rule' and a.status <> 'resolved'
  and not exists (select from alerts.instance i where i.alert_id = a.alert_id)
group by a.tenant_id
order by a.tenant_id
