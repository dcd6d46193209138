-- Reminders of tasks.

-- name: add
insert into tasks.reminder (tenant_id, task_id, user_id, minutes_before, remind_at, created_at)
select $1, $2, $3, r.minutes_before, r.remind_at, $6
from unnest($4::integer[], $5::timestamptz[]) with ordinality as r (minutes_before, remind_at, n) order by r.n
returning reminder_id as id, minutes_before, remind_at, sent_at, outcome

-- name: all
select reminder_id as id, minutes_before, remind_at, sent_at, outcome
from tasks.reminder where tenant_id = $1 and user_id = $2 and task_id = $3 order by reminder_id

-- name: remove
delete from tasks.reminder where tenant_id = $1 and user_id = $2 and task_id = $3 and reminder_id = $4
returning reminder_id

-- name: move
-- Everybody's reminders that count from the date $3: those that are still to come then are open again.
select tasks.move_reminders($1, $2, $3, $4)

-- name: repeat
-- The same reminders for another task, of everybody who sees it.
select tasks.repeat_reminders($1, $2, $3, $4, $5)

-- name: claim
-- Ends the reminder that is due longest at $1 and that nobody else is at: sent, or skipped where the task is done or the person
-- has left. The caller's transaction does the sending. Materialized: what locks must be asked once.
with due as materialized (
  select d.reminder_id,
         case when t.status = 'completed' or u.disabled_at is not null then 'skipped' else 'sent' end as outcome
  from tasks.reminder d
  join tasks.tasks t on t.tenant_id = d.tenant_id and t.task_id = d.task_id
  join platform.users u on u.user_id = d.user_id
  where d.sent_at is null and d.remind_at <= $1
  order by d.remind_at, d.reminder_id
  limit 1
  for update of d skip locked
)
update tasks.reminder r
set sent_at = $1, outcome = due.outcome
from due
where r.reminder_id = due.reminder_id
returning r.reminder_id as id, r.tenant_id, r.task_id, r.user_id, r.outcome

-- name: fail
-- Says of a reminder that was claimed that it could not be sent.
update tasks.reminder set outcome = 'failed' where reminder_id = $1
