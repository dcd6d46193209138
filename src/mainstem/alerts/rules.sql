-- Rules and silences.

-- name: seed
-- Adds the shipped rules $1 that came after the version that a tenant has; $2 the newest version, $3 who runs the installation.
with behind as (
  select t.tenant_id, t.slug, coalesce(s.version, 0) as version
  from platform.tenant t left join alerts.seeded s on s.tenant_id = t.tenant_id
  where coalesce(s.version, 0) < $2),
added as (
  insert into alerts.rule (tenant_id, name, description, metric, comparison, threshold, window_s, for_s, keep_firing_s,
                           min_volume, severity, no_data, shipped)
  select b.tenant_id, r.name, r.description, r.metric, r.comparison, r.threshold, r.window_s, r.for_s, r.keep_firing_s,
         r.min_volume, r.severity, r.no_data, true
  from behind b
  cross join jsonb_to_recordset($1::jsonb) as r (
    name text, description text, metric text, comparison text, threshold double precision, window_s integer, for_s integer,
    keep_firing_s integer, min_volume bigint, severity text, no_data text, everywhere boolean, since integer)
  where r.since > b.version and (r.everywhere or b.slug = $3)
  order by b.tenant_id, r.name
  on conflict (tenant_id, name) do nothing
  returning 1),
noted as (
  insert into alerts.seeded (tenant_id, version) select tenant_id, $2 from behind
  on conflict (tenant_id) do update set version = excluded.version)
select count(*) from added

-- name: enabled
-- All rules that are judged.
select r.*, t.slug as tenant
from alerts.rule r join platform.tenant t on t.tenant_id = r.tenant_id
where r.enabled
order by r.tenant_id, r.rule_id

-- name: enabled_of
-- The rules of tenant $1 that are judged; nobody changes them meanwhile.
select r.*, t.slug as tenant
from alerts.rule r join platform.tenant t on t.tenant_id = r.tenant_id
where r.tenant_id = $1 and r.enabled
order by r.rule_id
for share of r

-- name: rules
select r.* from alerts.rule r where r.tenant_id = $1 order by r.name

-- name: rule
select r.* from alerts.rule r where r.tenant_id = $1 and r.rule_id = $2

-- name: lock_rule
select r.* from alerts.rule r where r.tenant_id = $1 and r.rule_id = $2 for update

-- name: insert_rule
-- Adds a rule, unless the tenant has one of that name.
insert into alerts.rule (
  tenant_id, name, description, metric, comparison, threshold, window_s, for_s, keep_firing_s, min_volume, severity, no_data,
  labels, group_by, group_wait_s, group_interval_s, repeat_interval_s, receivers, enabled, created_by)
select $1, r.name, r.description, r.metric, r.comparison, r.threshold, r.window_s, r.for_s, r.keep_firing_s, r.min_volume,
       r.severity, r.no_data, r.labels, r.group_by, r.group_wait_s, r.group_interval_s, r.repeat_interval_s, r.receivers,
       r.enabled, $3
from jsonb_populate_record(null::alerts.rule, $2::jsonb) r
on conflict (tenant_id, name) do nothing
returning *

-- name: update_rule
update alerts.rule o
set name = r.name, description = r.description, metric = r.metric, comparison = r.comparison, threshold = r.threshold,
    window_s = r.window_s, for_s = r.for_s, keep_firing_s = r.keep_firing_s, min_volume = r.min_volume, severity = r.severity,
    no_data = r.no_data, labels = r.labels, group_by = r.group_by, group_wait_s = r.group_wait_s,
    group_interval_s = r.group_interval_s, repeat_interval_s = r.repeat_interval_s, receivers = r.receivers,
    enabled = r.enabled, updated_at = now()
from jsonb_populate_record(null::alerts.rule, $3::jsonb) r
where o.tenant_id = $1 and o.rule_id = $2
returning o.*

-- name: delete_rule
delete from alerts.rule where tenant_id = $1 and rule_id = $2

-- name: instances_of_rules
-- Where rules $2 of a tenant stand on what they look at.
select i.* from alerts.instance i where i.tenant_id = $1 and i.rule_id = any ($2::integer[]) order by i.rule_id, i.fingerprint

-- name: insert_silence
insert into alerts.silence (tenant_id, matchers, starts_at, ends_at, created_by, comment)
values ($1, $2::jsonb, $3, $4, $5, $6)
returning *

-- name: silences
-- Silences, those that end last first; $2: over ones, too.
select * from alerts.silence
where tenant_id = $1 and ($2::boolean or ends_at > $3) order by ends_at desc, silence_id desc limit $4 offset $5

-- name: count_silences
select count(*) from alerts.silence where tenant_id = $1 and ($2::boolean or ends_at > $3)

-- name: silence
select * from alerts.silence where tenant_id = $1 and silence_id = $2

-- name: update_silence
update alerts.silence set ends_at = $3, comment = $4, updated_at = now() where tenant_id = $1 and silence_id = $2 returning *

-- name: expire_silence
-- Ends a silence; one that never began is over, too.
update alerts.silence set ends_at = $3, starts_at = least(starts_at, $3), updated_at = now()
where tenant_id = $1 and silence_id = $2 and ends_at > $3

-- name: active_silences
-- What is silenced at $2.
select silence_id, matchers from alerts.silence
where tenant_id = $1 and starts_at <= $2 and ends_at > $2 order by silence_id
