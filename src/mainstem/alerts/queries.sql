-- Alerts: raised, acknowledged, resolved, read, and told to people.

-- name: join_group
-- Makes the group of an alert, or finds it; its row is locked until the transaction ends.
insert into alerts.alert_group as g (tenant_id, key, labels, receivers, group_wait_s, group_interval_s, repeat_interval_s, due_at)
values ($1, $2, $3::jsonb, $4, $5, $6, $7, $8)
on conflict (tenant_id, key) do update set key = excluded.key
returning g.group_id

-- name: raise
-- Adds alerts; one that is open already is counted. is_new tells them apart.
insert into alerts.alert as a (
  tenant_id, rule_id, source, fingerprint, alert_type, severity, message, labels, webhook_id, value, no_data, started_at,
  created_at, last_seen_at, created_by, group_id)
select $1, r.rule_id, r.source, r.fingerprint, r.alert_type, r.severity, r.message, r.labels, r.webhook_id, r.value, r.no_data,
       r.started_at, $3, $3, r.created_by, r.group_id
from jsonb_populate_recordset(null::alerts.alert, $2::jsonb) with ordinality r
order by r.ordinality
on conflict (tenant_id, fingerprint) where status <> 'resolved'
do update set occurrences = a.occurrences + 1, last_seen_at = excluded.last_seen_at, message = excluded.message
returning a.*, (a.xmax = 0) as is_new

-- name: resolve
-- Ends open alerts; what people were never told of need not be told any more.
update alerts.alert a
set status = 'resolved', resolved_at = $3, resolved_by = $4,
    delivery_status = case when told = 'nothing' then 'delivered' else delivery_status end
from (select alert_id from alerts.alert
      where tenant_id = $1 and alert_id = any ($2::integer[]) and status <> 'resolved' order by alert_id for update) o
where a.alert_id = o.alert_id
returning a.*

-- name: acknowledge
-- Notes who knows of alerts, and why; of those that nobody knows of yet.
update alerts.alert a
set status = case when status = 'firing' then 'acknowledged' else status end,
    acknowledged_at = $3, acknowledged_by = $4, notes = $5,
    delivery_status = case when told = 'nothing' then 'delivered' else delivery_status end
from (select alert_id from alerts.alert
      where tenant_id = $1 and alert_id = any ($2::integer[]) and acknowledged_at is null order by alert_id for update) o
where a.alert_id = o.alert_id
returning a.*

-- name: alert
select a.*, coalesce(r.description, '') as description
from alerts.alert a left join alerts.rule r on r.rule_id = a.rule_id
where a.tenant_id = $1 and a.alert_id = $2

-- name: alerts
-- Alerts, the newest first: of statuses $2, delivery statuses $3, severities $4, an endpoint $5, a type $6; null: all.
select a.*, coalesce(r.description, '') as description
from alerts.alert a left join alerts.rule r on r.rule_id = a.rule_id
where a.tenant_id = $1
  and ($2::text[] is null or a.status = any ($2))
  and ($3::text[] is null or a.delivery_status = any ($3))
  and ($4::text[] is null or a.severity = any ($4))
  and ($5::integer is null or a.webhook_id = $5)
  and ($6::text is null or a.alert_type = $6)
order by a.alert_id desc
limit $7 offset $8

-- name: count
select count(*)
from alerts.alert a
where a.tenant_id = $1
  and ($2::text[] is null or a.status = any ($2))
  and ($3::text[] is null or a.delivery_status = any ($3))
  and ($4::text[] is null or a.severity = any ($4))
  and ($5::integer is null or a.webhook_id = $5)
  and ($6::text is null or a.alert_type = $6)

-- name: summary
-- The alerts of tenant $1 since $2, at $3.
select count(*) as total_alerts,
       count(*) filter (where delivery_status = 'pending') as pending_alerts,
       count(*) filter (where delivery_status = 'failed') as failed_alerts,
       count(*) filter (where acknowledged_at is not null) as acknowledged_alerts,
       count(*) filter (where status <> 'resolved') as open_alerts,
       count(*) filter (where status = 'firing') as firing_alerts,
       count(*) filter (where status = 'resolved') as resolved_alerts,
       count(*) filter (where severity = 'CRITICAL') as critical_count,
       count(*) filter (where severity = 'WARNING') as warning_count,
       count(*) filter (where severity = 'INFO') as info_count,
       coalesce(avg(extract(epoch from $3::timestamptz - created_at)) filter (where delivery_status = 'pending') / 3600, 0)
         ::double precision as avg_pending_hours,
       min(created_at) filter (where delivery_status = 'pending') as oldest_pending_alert,
       min(created_at) filter (where status = 'firing') as oldest_firing_alert
from alerts.alert where tenant_id = $1 and created_at >= $2

-- name: due_groups
-- Groups that are to be looked at, at $1.
select group_id, tenant_id from alerts.alert_group where due_at <= $1 order by due_at, group_id

-- name: lock_group
-- A group, unless another process is at it.
select g.*, t.slug as tenant
from alerts.alert_group g join platform.tenant t on t.tenant_id = g.tenant_id
where g.group_id = $1 and g.due_at <= $2 for update of g skip locked

-- name: members
select a.*, coalesce(r.description, '') as description
from alerts.alert a left join alerts.rule r on r.rule_id = a.rule_id
where a.group_id = $1 order by a.alert_id

-- name: insert_notification
insert into alerts.notification (tenant_id, key, reason, status, alert_ids, receivers, created_at)
values ($1, $2, $3, $4, $5, $6, $7) returning notification_id

-- name: told
-- Notes what people are now told of alerts: $2 firing, $3 resolved, by notification $4; $5 whether mails are to be sent.
update alerts.alert
set told = case when alert_id = any ($2::integer[]) then 'firing' else 'resolved' end,
    notification_id = $4, delivery_error = null,
    delivery_status = case when $5::boolean then 'pending' else 'delivered' end
where tenant_id = $1 and alert_id = any ($2::integer[] || $3::integer[])

-- name: leave
update alerts.alert set group_id = null where group_id = $1 and alert_id = any ($2::integer[])

-- name: next_look
update alerts.alert_group set due_at = $2, sent_at = coalesce($3, sent_at) where group_id = $1

-- name: drop_group
-- Deletes a group that has no alert any more.
delete from alerts.alert_group g
where g.group_id = $1 and not exists (select from alerts.alert a where a.group_id = g.group_id)

-- name: mailed
-- Writes what became of a notification's mails into its alerts: pending while one is under way, delivered when any arrived.
update alerts.alert a
set delivery_status = m.status, delivery_error = $3
from (select case when bool_or(status = 'pending') then 'pending' when bool_or(status = 'delivered') then 'delivered'
                  else 'failed' end as status
      from platform.mail where ref = $2) m
where a.tenant_id = $1 and a.notification_id = $4 and m.status is not null

-- name: notification
-- A notification is what a mail is about; its row is locked, so that two mails that end at once are counted one by one.
select notification_id from alerts.notification where notification_id = $1 for update

-- name: prune_alerts
-- Deletes alerts that were over before $1, a thousand at a time; returns how many.
with old as (
  select alert_id from alerts.alert where resolved_at < $1 and group_id is null order by resolved_at limit 1000),
gone as (delete from alerts.alert a using old o where a.alert_id = o.alert_id returning 1)
select count(*) from gone

-- name: prune_notifications
with old as (
  select n.notification_id from alerts.notification n
  where n.created_at < $1 and not exists (select from alerts.alert a where a.notification_id = n.notification_id)
  order by n.created_at limit 1000),
gone as (delete from alerts.notification n using old o where n.notification_id = o.notification_id returning 1)
select count(*) from gone

-- name: prune_silences
delete from alerts.silence where ends_at < $1
