-- Conversations and messages of one person. The transaction is bound to tenant and person; both stand in every query, too.

-- name: conversations
-- A person's conversations, the last changed first, before ($3, $4) of the page before.
select c.id, c.title, c.created_at, c.updated_at
from assistant.conversations c
where c.tenant_id = $1 and c.user_id = $2
  and ($3::timestamptz is null or (c.updated_at, c.id) < ($3, $4::integer))
order by c.updated_at desc, c.id desc
limit $5

-- name: conversation
select c.id, c.title, c.summary, c.summarized_to, c.asked::text as asked, c.turn_id, c.turn_until, c.created_at, c.updated_at
from assistant.conversations c
where c.tenant_id = $1 and c.user_id = $2 and c.id = $3

-- name: lock_conversation
-- The same, kept from others until the transaction ends.
select c.id, c.title, c.summary, c.summarized_to, c.asked::text as asked, c.turn_id, c.turn_until, c.created_at, c.updated_at
from assistant.conversations c
where c.tenant_id = $1 and c.user_id = $2 and c.id = $3
for update

-- name: add_conversation
insert into assistant.conversations (tenant_id, user_id, title, created_at, updated_at)
values ($1, $2, $3, $4, $4)
returning id, title, created_at, updated_at

-- name: delete_conversation
-- Messages and what was streamed of them go with it.
with gone as (
  delete from assistant.conversations where tenant_id = $1 and user_id = $2 and id = $3 returning id
), asked as (
  delete from assistant.approval a using gone g where a.conversation_id = g.id and a.tenant_id = $1
)
select count(*) from gone

-- name: messages
-- Messages of a conversation above the id $4, in order; what tools gave back stands in the answers.
select m.id, m.parent_id, m.role, m.content, m.tool_calls::text as tool_calls, m.model, m.usage::text as usage, m.unfinished,
       m.error, m.rating, m.note, m.execution_ms, m.created_at, m.finished_at
from assistant.messages m
where m.tenant_id = $1 and m.user_id = $2 and m.conversation_id = $3 and m.id > $4 and m.role <> 'tool'
order by m.id
limit $5

-- name: latest_messages
-- The same from the end: those above the id $4 and below $5, the latest first.
select m.id, m.parent_id, m.role, m.content, m.tool_calls::text as tool_calls, m.error, m.unfinished
from assistant.messages m
where m.tenant_id = $1 and m.user_id = $2 and m.conversation_id = $3 and m.id > $4 and m.id < $5 and m.role <> 'tool'
order by m.id desc
limit $6

-- name: message
select m.id, m.conversation_id, m.parent_id, m.role, m.content, m.tool_calls::text as tool_calls, m.model, m.unfinished, m.error,
       m.error_detail, m.execution_ms, m.created_at, m.finished_at, c.turn_id, c.turn_until,
       (select count(*) from assistant.messages x where x.conversation_id = m.conversation_id and x.role <> 'tool') as messages
from assistant.messages m
join assistant.conversations c on c.id = m.conversation_id
where m.tenant_id = $1 and m.user_id = $2 and m.id = $3

-- name: answer_of_key
-- The message that was sent with an idempotency key, and its answer.
select m.id as message_id, m.conversation_id, m.content, a.id as answer_id
from assistant.messages m
join assistant.messages a on a.parent_id = m.id and a.role = 'assistant'
where m.tenant_id = $1 and m.user_id = $2 and m.idempotency_key = $3

-- name: add_message
insert into assistant.messages (conversation_id, tenant_id, user_id, parent_id, role, content, tool_calls, model, unfinished,
                                idempotency_key, created_at, finished_at)
values ($1, $2, $3, $4, $5, $6, $7::jsonb, $8, $9, $10, $11, $12)
returning id

-- name: begin_turn
update assistant.conversations set turn_id = $4, turn_until = $5, turn_claim = $6, updated_at = $7
where tenant_id = $1 and user_id = $2 and id = $3

-- name: renew_turn
-- The answer is still being made; nothing when somebody else makes it, or it is gone.
update assistant.conversations set turn_until = $5
where tenant_id = $1 and user_id = $2 and turn_id = $3 and turn_claim = $4
returning id

-- name: hold_turn
-- The answer is this process's, and stays so until the transaction ends.
select c.id from assistant.conversations c
where c.tenant_id = $1 and c.user_id = $2 and c.turn_id = $3 and c.turn_claim = $4
for share

-- name: claim_turn
-- Takes up an answer whose process is gone.
update assistant.conversations c set turn_id = $4, turn_until = $5, turn_claim = $7
where c.tenant_id = $1 and c.user_id = $2 and c.id = $3 and (c.turn_until is null or c.turn_until <= $6)
  and not exists (select from assistant.messages m where m.conversation_id = c.id and m.id > $4 and m.role = 'user')
returning c.id

-- name: reopen
update assistant.messages set unfinished = true, error = null, error_detail = null, content = '', finished_at = null
where tenant_id = $1 and user_id = $2 and id = $3

-- name: let_go
-- The answer is not being made any more; whoever wants may take it up.
update assistant.conversations set turn_id = null, turn_until = null, turn_claim = null
where tenant_id = $1 and user_id = $2 and turn_id = $3 and turn_claim = $4

-- name: finish_turn
-- The answer is made: its text, its calls and what it took; and what was asked.
with mine as (
  select c.id from assistant.conversations c
  where c.tenant_id = $1 and c.user_id = $2 and c.turn_id = $3 and c.turn_claim = $13
  for update
), done as (
  update assistant.messages set content = $4, tool_calls = $5::jsonb, model = $6, usage = $7::jsonb, error = $8,
         error_detail = $12,
         unfinished = false, execution_ms = $9, finished_at = $10
  where tenant_id = $1 and user_id = $2 and id = $3 and conversation_id in (select m.id from mine m) returning conversation_id
)
update assistant.conversations c set turn_id = null, turn_until = null, turn_claim = null, asked = $11::jsonb, updated_at = $10
from done d where c.id = d.conversation_id
returning (select count(*) from assistant.messages m where m.conversation_id = c.id and m.role <> 'tool') as messages

-- name: calls_done
-- What an answer has called so far: written by the calls themselves.
select m.tool_calls::text as tool_calls from assistant.messages m
where m.tenant_id = $1 and m.user_id = $2 and m.parent_id = $3 and m.role = 'tool'
order by m.id

-- name: summarize
update assistant.conversations set summary = $4, summarized_to = $5
where tenant_id = $1 and user_id = $2 and id = $3 and summarized_to < $5

-- name: rate
update assistant.messages set rating = $5, note = $6
where tenant_id = $1 and user_id = $2 and conversation_id = $3 and id = $4 and role = 'assistant'
returning id

-- name: add_event
insert into assistant.turn_event (message_id, number, tenant_id, user_id, name, data, created_at)
select $3, coalesce(max(e.number), 0) + 1, $1, $2, $4, $5::jsonb, $6
from assistant.turn_event e where e.message_id = $3

-- name: events
select e.number, e.name, e.data::text as data from assistant.turn_event e
where e.tenant_id = $1 and e.user_id = $2 and e.message_id = $3 and e.number > $4
order by e.number

-- name: prune_conversations
with gone as (
  delete from assistant.conversations where id in (
    select c.id from assistant.conversations c where c.updated_at < $1 order by c.updated_at limit 500)
  returning 1
)
select count(*) from gone

-- name: prune_events
with gone as (delete from assistant.turn_event where created_at < $1 returning 1)
select count(*) from gone

-- name: count_usage
insert into assistant.usage_day as u (tenant_id, user_id, day, model, turns, requests, prompt_tokens, completion_tokens, failures)
values ($1, $2, $3, $4, 1, $5, $6, $7, $8)
on conflict (tenant_id, day, user_id, model) do update set
  turns = u.turns + 1, requests = u.requests + excluded.requests, prompt_tokens = u.prompt_tokens + excluded.prompt_tokens,
  completion_tokens = u.completion_tokens + excluded.completion_tokens, failures = u.failures + excluded.failures

-- name: tokens_of_day
-- What a tenant's chats have used on a day.
select coalesce(sum(u.prompt_tokens + u.completion_tokens), 0)::bigint from assistant.usage_day u
where u.tenant_id = $1 and u.day = $2

-- name: usage
-- By day and model: of one person, or of all where $2 is null.
select u.day, u.model, sum(u.turns)::bigint as turns, sum(u.requests)::bigint as requests,
       sum(u.prompt_tokens)::bigint as prompt_tokens, sum(u.completion_tokens)::bigint as completion_tokens,
       sum(u.failures)::bigint as failures
from assistant.usage_day u
where u.tenant_id = $1 and ($2::uuid is null or u.user_id = $2) and u.day >= $3
group by u.day, u.model
order by u.day desc, u.model
