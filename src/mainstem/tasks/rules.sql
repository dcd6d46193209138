-- Rules that make tasks of events.

-- name: all
select rule_id, name, kinds, filter::text as filter, title, description, priority, labels, due_minutes, owner_id,
       assignee_id, enabled, version, made, created_by, created_at, updated_at
from tasks.rule where tenant_id = $1 order by rule_id

-- name: one
select rule_id, name, kinds, filter::text as filter, title, description, priority, labels, due_minutes, owner_id,
       assignee_id, enabled, version, made, created_by, created_at, updated_at
from tasks.rule where tenant_id = $1 and rule_id = $2

-- name: insert
insert into tasks.rule (tenant_id, name, kinds, filter, title, description, priority, labels, due_minutes, owner_id,
                        assignee_id, enabled, created_by, created_at, updated_at)
values ($1, $2, $3, $4::text::jsonb, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $14)
returning rule_id

-- name: update
update tasks.rule
set name = $3, kinds = $4, filter = $5::text::jsonb, title = $6, description = $7, priority = $8, labels = $9,
    due_minutes = $10, owner_id = $11, assignee_id = $12, enabled = $13, updated_at = $14, version = version + 1
where tenant_id = $1 and rule_id = $2

-- name: delete
delete from tasks.rule where tenant_id = $1 and rule_id = $2 returning rule_id

-- name: active
-- Rules of some tenants that are in force.
select rule_id, tenant_id, version, kinds, filter::text as filter
from tasks.rule where tenant_id = any ($1::integer[]) and enabled order by rule_id

-- name: matched
-- Events that met rules: one row for each pair, once.
insert into tasks.match (rule_id, event_uid, tenant_id, kind, source, subject, occurred_at, data)
select m.rule_id, m.event_uid, m.tenant_id, m.kind, m.source, m.subject, m.occurred_at, m.data
from unnest($1::integer[], $2::uuid[], $3::integer[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::json[])
  as m (rule_id, event_uid, tenant_id, kind, source, subject, occurred_at, data)
order by m.rule_id, m.event_uid
on conflict do nothing

-- name: claim
-- The oldest match of which a task is still to be made and that nobody else is at, kept until the transaction ends.
select m.rule_id, m.event_uid, m.tenant_id, m.kind, m.source, m.subject, m.occurred_at, m.data::text as data,
       r.title, r.description, r.priority, r.labels, r.due_minutes, r.owner_id, r.assignee_id
from tasks.match m
join tasks.rule r on r.rule_id = m.rule_id
where m.made_at is null
order by m.matched_at, m.rule_id, m.event_uid
limit 1
for update of m skip locked

-- name: made
-- Ends a match; its event is not needed any more.
update tasks.match set made_at = $3, task_id = $4, failure = $5, data = null where rule_id = $1 and event_uid = $2

-- name: count
update tasks.rule set made = made + 1 where rule_id = $1

-- name: prune
-- Deletes matches that were done with before $1, a thousand at a time; returns how many.
with old as (select rule_id, event_uid from tasks.match where made_at < $1 order by made_at limit 1000),
gone as (delete from tasks.match m using old o where m.rule_id = o.rule_id and m.event_uid = o.event_uid returning 1)
select count(*) from gone
