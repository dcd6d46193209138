-- Calls of tools and approvals.

-- name: note_call
-- What was called, by whom, and how it ended.
insert into assistant.tool_call (tenant_id, user_id, subject, door, tool, status, code, argument_names, approval_id,
                                 duration_ms, called_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)

-- name: calls
-- Calls of a tenant, the latest first, below the id $2.
select c.tool_call_id, c.subject, c.door, c.tool, c.status, c.code, c.argument_names, c.approval_id, c.duration_ms, c.called_at
from assistant.tool_call c
where c.tenant_id = $1
  and ($2::bigint is null or c.tool_call_id < $2)
  and ($3::text is null or c.tool = $3)
  and ($4::text is null or c.status = $4)
order by c.tool_call_id desc
limit $5

-- name: prune_calls
-- Deletes some calls from before $1; how many.
with gone as (
  delete from assistant.tool_call where ctid in (
    select ctid from assistant.tool_call where called_at < $1 limit 5000)
  returning 1
)
select count(*) from gone

-- name: ask
-- Keeps a call until a person has answered.
insert into assistant.approval (approval_id, tenant_id, user_id, subject, tool, arguments, question, conversation_id,
                                created_at, expires_at)
values ($1, $2, $3, $4, $5, $6::jsonb, $7, $8, $9, $10)

-- name: approval
-- An approval of a caller.
select a.approval_id, a.tool, a.arguments::text as arguments, a.question, a.conversation_id, a.created_at, a.expires_at,
       a.decision, a.decided_at
from assistant.approval a
where a.tenant_id = $1 and a.subject = $2 and a.approval_id = $3

-- name: open_approval
-- The latest question of a conversation that still waits.
select a.approval_id, a.tool, a.arguments::text as arguments, a.question, a.conversation_id, a.created_at, a.expires_at,
       a.decision, a.decided_at
from assistant.approval a
where a.tenant_id = $1 and a.subject = $2 and a.conversation_id = $3 and a.decision is null and a.expires_at > $4
order by a.created_at desc, a.approval_id desc
limit 1

-- name: decide
-- Answers an approval, unless it was answered or is over; the first one to ask gets the row.
update assistant.approval set decision = $4, decided_at = $5
where tenant_id = $1 and subject = $2 and approval_id = $3 and decision is null and expires_at > $5
returning approval_id, tool, arguments::text as arguments, question, conversation_id, created_at, expires_at, decision, decided_at

-- name: prune_approvals
-- Deletes approvals that were over before $1; how many.
with gone as (delete from assistant.approval where expires_at < $1 returning 1)
select count(*) from gone
