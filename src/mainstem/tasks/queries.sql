-- Tasks of one person. The caller's transaction is bound to the tenant and to the person.

-- name: next_id
-- The next id of a tenant's tasks; whoever else makes one waits until the caller's transaction ends.
insert into tasks.counter as c (tenant_id, last_id) values ($1, 1)
on conflict (tenant_id) do update set last_id = c.last_id + 1
returning last_id

-- name: insert
-- Makes a task; nothing where its occurrence of a series is there already.
insert into tasks.tasks (
  tenant_id, task_id, uid, user_id, assignee_id, shared_with, title, description, status, priority, labels, due_date,
  all_day, due_words, zone, recurrence, repeat_from, repeat_start, series_uid, occurrence, rule_id, created_by,
  created_at, updated_at, completed_at, completed_by)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $23, $24, $25)
on conflict (tenant_id, series_uid, occurrence) where series_uid is not null do nothing
returning task_id

-- name: one
-- A task as the person of the transaction sees it.
select task_id, uid, user_id, assignee_id, shared_with, title, description, status, priority, labels, due_date, all_day,
       due_words, zone, recurrence, repeat_from, repeat_start, series_uid, occurrence, version, rule_id, created_by,
       created_at, updated_at, completed_at, completed_by
from tasks.tasks where tenant_id = $1 and task_id = $2

-- name: lock
-- The same, kept from others until the transaction ends; nothing for who sees it but may not change it.
select task_id, uid, user_id, assignee_id, shared_with, title, description, status, priority, labels, due_date, all_day,
       due_words, zone, recurrence, repeat_from, repeat_start, series_uid, occurrence, version, rule_id, created_by,
       created_at, updated_at, completed_at, completed_by
from tasks.tasks where tenant_id = $1 and task_id = $2
for update

-- name: some
-- Tasks by their ids, in that order.
select t.task_id, t.uid, t.user_id, t.assignee_id, t.shared_with, t.title, t.description, t.status, t.priority, t.labels,
       t.due_date, t.all_day, t.due_words, t.zone, t.recurrence, t.repeat_from, t.repeat_start, t.series_uid, t.occurrence,
       t.version, t.rule_id, t.created_by, t.created_at, t.updated_at, t.completed_at, t.completed_by
from unnest($2::integer[]) with ordinality as w (task_id, n)
join tasks.tasks t on t.tenant_id = $1 and t.task_id = w.task_id
order by w.n

-- name: update
-- Writes a task whose row is locked, as its next version.
update tasks.tasks
set assignee_id = $3, shared_with = $4, title = $5, description = $6, status = $7, priority = $8, labels = $9,
    due_date = $10, all_day = $11, due_words = $12, zone = $13, recurrence = $14, repeat_from = $15, repeat_start = $16,
    series_uid = $17, occurrence = $18, completed_at = $19, completed_by = $20, updated_at = $21, version = version + 1
where tenant_id = $1 and task_id = $2
returning version

-- name: delete
delete from tasks.tasks where tenant_id = $1 and task_id = $2 returning task_id

-- name: has_occurrence
-- Whether an occurrence of a series is there, whoever sees it.
select exists (select from tasks.tasks where tenant_id = $1 and series_uid = $2 and occurrence = $3)

-- name: add_links
insert into tasks.task_link (tenant_id, task_id, type, ref)
select $1, $2, type, ref from unnest($3::text[], $4::text[]) as l (type, ref)
on conflict do nothing
returning type, ref

-- name: remove_link
delete from tasks.task_link where tenant_id = $1 and task_id = $2 and type = $3 and ref = $4 returning ref

-- name: links
-- Links of tasks.
select task_id, type, ref from tasks.task_link where tenant_id = $1 and task_id = any ($2::integer[])
order by task_id, type, ref

-- name: labels
-- Labels of the tasks that a person sees, with how many tasks have them and how many of these are open.
select l.label, count(*) as tasks, count(*) filter (where not p.completed) as open
from tasks.label l
join tasks.participant p on p.tenant_id = l.tenant_id and p.user_id = l.user_id and p.task_id = l.task_id
where l.tenant_id = $1 and l.user_id = $2
group by l.label order by l.label

-- name: person
-- A person of the tenant who may still sign in, by id or by e-mail.
select user_id, email, name from platform.users
where tenant_id = $1 and (user_id = $2 or email = $3) and disabled_at is null

-- name: add_comment
insert into tasks.comment (tenant_id, task_id, user_id, body, created_at) values ($1, $2, $3, $4, $5) returning comment_id

-- name: comments
-- What was said about a task, the oldest first, after the comment $3.
select c.comment_id, c.user_id, c.body, c.created_at
from tasks.comment c
where c.tenant_id = $1 and c.task_id = $2 and c.comment_id > $3
order by c.comment_id
limit $4

-- name: email
select email from platform.users where tenant_id = $1 and user_id = $2

-- name: history
-- What the vault has of a task, the newest first.
select kind, occurred_at, data::text as data
from vault.nhl_event
where tenant_id = $1 and subject = $2 and kind like 'task.%' and rsrc = 'tasks'
order by received_at desc, event_uid
limit $3
