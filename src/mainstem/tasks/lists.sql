-- Lists of what a person sees: one query for each order, read from the index of that order, and from no more of it than the
-- page needs where nothing rare is asked for. $1 tenant, $2 person, $3 to $12 what is asked for, $13 rows, then the place
-- after which the list goes on.

-- name: created
-- The newest first.
select p.task_id, p.task_id::text as place
from tasks.participant p
where p.tenant_id = $1 and p.user_id = $2
  and ($3::boolean is null or p.completed = $3)
  and ($4::text is null or exists (
    select from tasks.tasks t where t.tenant_id = $1 and t.task_id = p.task_id and t.status = $4))
  and ($5::smallint is null or p.rank = $5)
  and ($6::text is null or p.task_id = any (array(
    select l.task_id from tasks.label l where l.tenant_id = $1 and l.user_id = $2 and l.label = $6)))
  and ($7::text is null or p.task_id = any (array(select tasks.found($7))))
  and ($8::timestamptz is null or p.due_at >= $8)
  and ($9::timestamptz is null or p.due_at < $9)
  and ($10::uuid is null or exists (
    select from tasks.tasks t where t.tenant_id = $1 and t.task_id = p.task_id and t.assignee_id = $10))
  and ($11::text is null or p.task_id = any (array(
    select k.task_id from tasks.task_link k where k.tenant_id = $1 and k.type = $11 and k.ref = $12)))
  and ($14::integer is null or p.task_id < $14)
order by p.task_id desc
limit $13

-- name: due
-- The soonest first.
select p.task_id, p.due_at::text as place
from tasks.participant p
where p.tenant_id = $1 and p.user_id = $2
  and ($3::boolean is null or p.completed = $3)
  and ($4::text is null or exists (
    select from tasks.tasks t where t.tenant_id = $1 and t.task_id = p.task_id and t.status = $4))
  and ($5::smallint is null or p.rank = $5)
  and ($6::text is null or p.task_id = any (array(
    select l.task_id from tasks.label l where l.tenant_id = $1 and l.user_id = $2 and l.label = $6)))
  and ($7::text is null or p.task_id = any (array(select tasks.found($7))))
  and ($8::timestamptz is null or p.due_at >= $8)
  and ($9::timestamptz is null or p.due_at < $9)
  and ($10::uuid is null or exists (
    select from tasks.tasks t where t.tenant_id = $1 and t.task_id = p.task_id and t.assignee_id = $10))
  and ($11::text is null or p.task_id = any (array(
    select k.task_id from tasks.task_link k where k.tenant_id = $1 and k.type = $11 and k.ref = $12)))
  and ($14::integer is null or (p.due_at, p.task_id) > ($15::text::timestamptz, $14))
order by p.due_at, p.task_id
limit $13

-- name: priority
-- The highest first, then the newest.
select p.task_id, p.rank::text as place
from tasks.participant p
where p.tenant_id = $1 and p.user_id = $2
  and ($3::boolean is null or p.completed = $3)
  and ($4::text is null or exists (
    select from tasks.tasks t where t.tenant_id = $1 and t.task_id = p.task_id and t.status = $4))
  and ($5::smallint is null or p.rank = $5)
  and ($6::text is null or p.task_id = any (array(
    select l.task_id from tasks.label l where l.tenant_id = $1 and l.user_id = $2 and l.label = $6)))
  and ($7::text is null or p.task_id = any (array(select tasks.found($7))))
  and ($8::timestamptz is null or p.due_at >= $8)
  and ($9::timestamptz is null or p.due_at < $9)
  and ($10::uuid is null or exists (
    select from tasks.tasks t where t.tenant_id = $1 and t.task_id = p.task_id and t.assignee_id = $10))
  and ($11::text is null or p.task_id = any (array(
    select k.task_id from tasks.task_link k where k.tenant_id = $1 and k.type = $11 and k.ref = $12)))
  and ($14::integer is null or (p.rank, p.task_id) < ($15::smallint, $14))
order by p.rank desc, p.task_id desc
limit $13
