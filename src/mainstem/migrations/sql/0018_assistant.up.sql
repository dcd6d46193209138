-- The assistant: what people and programs did by tools, what waits for a person's word, conversations and their messages.

create schema assistant;
comment on schema assistant is 'Conversations, calls of tools, approvals, and what models used.';
grant usage on schema assistant to mainstem_api, mainstem_worker;

create table assistant.approval (
  approval_id     uuid primary key,
  tenant_id       integer not null references platform.tenant,
  user_id         uuid references platform.users on delete cascade,
  subject         text not null,
  tool            text not null,
  arguments       jsonb not null constraint approval_arguments_check check (jsonb_typeof(arguments) = 'object'),
  question        text not null,
  conversation_id integer,
  created_at      timestamptz not null,
  expires_at      timestamptz not null,
  decision        text constraint approval_decision_check check (decision in ('approved', 'denied')),
  decided_at      timestamptz,
  constraint approval_decided_check check ((decision is null) = (decided_at is null)),
  constraint approval_span_check check (expires_at > created_at)
);
comment on table assistant.approval is
  'Calls of tools that wait for a person''s word. Each is taken once at most, by whoever asked, before it expires.';
comment on column assistant.approval.subject is 'Who asked: key:<id> or user:<id>.';
comment on column assistant.approval.arguments is 'What the tool is called with when the answer is yes; deleted with the row.';
create index approval_expires_idx on assistant.approval (expires_at);
create index approval_user_idx on assistant.approval (user_id);
create index approval_conversation_idx on assistant.approval (conversation_id) where decision is null;

create table assistant.tool_call (
  tool_call_id   bigint generated always as identity primary key,
  tenant_id      integer not null references platform.tenant,
  user_id        uuid references platform.users on delete set null,
  subject        text not null,
  door           text not null constraint tool_call_door_check check (door in ('chat', 'rest', 'mcp')),
  tool           text not null,
  status         text not null constraint tool_call_status_check check (status in ('ok', 'asked', 'denied', 'refused', 'failed')),
  code           text,
  argument_names text[] not null,
  approval_id    uuid,
  duration_ms    double precision not null,
  called_at      timestamptz not null
);
comment on table assistant.tool_call is 'Every call of a tool: who, by which door, how it ended. Kept for TOOL_LOG_DAYS.';
comment on column assistant.tool_call.status is
  'ok: done; asked: a person was asked first; denied: a person said no; refused: not allowed or wrong; failed: broke.';
comment on column assistant.tool_call.code is 'Code of the error; null where there is none.';
comment on column assistant.tool_call.argument_names is 'Names of the arguments alone: what they say may be personal.';
create index tool_call_tenant_idx on assistant.tool_call (tenant_id, tool_call_id desc);
create index tool_call_called_idx on assistant.tool_call (called_at);
create index tool_call_user_idx on assistant.tool_call (user_id) where user_id is not null;

-- Under these names because the deployment documents query them.
create table assistant.conversations (
  id              integer generated always as identity primary key,
  tenant_id       integer not null references platform.tenant,
  user_id         uuid not null references platform.users on delete cascade,
  title           text not null constraint conversations_title_check check (length(title) between 1 and 256),
  summary         text not null default '',
  summarized_to   bigint not null default 0,
  asked           jsonb,
  turn_id         bigint,
  turn_until      timestamptz,
  turn_claim      uuid,
  created_at      timestamptz not null,
  updated_at      timestamptz not null,
  constraint conversations_turn_check check ((turn_id is null) = (turn_until is null) and (turn_id is null) = (turn_claim is null))
);
comment on table assistant.conversations is 'Conversations of people with the assistant. Kept for CHAT_RETENTION_DAYS after the last message.';
comment on column assistant.conversations.summary is 'What was said in the messages up to summarized_to, in short.';
comment on column assistant.conversations.asked is 'What the assistant asked last and the answers that it knows, so that any process understands the reply.';
comment on column assistant.conversations.turn_claim is 'Who makes it: what another process writes of it does not count.';
comment on column assistant.conversations.turn_id is 'The answer that a process works on, until turn_until unless it says that it is still alive.';
create index conversations_user_idx on assistant.conversations (user_id, updated_at desc, id desc);
create index conversations_updated_idx on assistant.conversations (updated_at);

create table assistant.messages (
  id              bigint generated always as identity primary key,
  conversation_id integer not null references assistant.conversations on delete cascade,
  tenant_id       integer not null references platform.tenant,
  user_id         uuid not null references platform.users on delete cascade,
  parent_id       bigint references assistant.messages on delete cascade,
  role            text not null constraint messages_role_check check (role in ('user', 'assistant', 'tool')),
  content         text not null,
  tool_calls      jsonb not null default '[]' constraint messages_tool_calls_check check (jsonb_typeof(tool_calls) = 'array'),
  model           text,
  usage           jsonb,
  unfinished      boolean not null default false,
  error           text,
  error_detail    text,
  idempotency_key text,
  rating          smallint constraint messages_rating_check check (rating in (-1, 1)),
  note            text constraint messages_note_check check (length(note) <= 1000),
  execution_ms    double precision,
  created_at      timestamptz not null,
  finished_at     timestamptz,
  constraint messages_unfinished_check check (role = 'assistant' or not unfinished)
);
comment on table assistant.messages is 'Messages of conversations, as a tree: parent_id is what a message answers. They go with their conversation.';
comment on column assistant.messages.tool_calls is 'Of an answer: its calls of tools {call_id, tool_name, arguments, status, result}; of a tool: that one call.';
comment on column assistant.messages.unfinished is 'The answer is being made, or the process that made it ended before.';
comment on column assistant.messages.error is 'Code of the error that ended the answer; error_detail is its sentence.';
comment on column assistant.messages.idempotency_key is 'Hash of the Idempotency-Key that the message was sent with.';
comment on column assistant.messages.rating is 'What the person thinks of the answer: 1 good, -1 bad.';
create index messages_conversation_idx on assistant.messages (conversation_id, id);
create index messages_parent_idx on assistant.messages (parent_id) where parent_id is not null;
create index messages_user_idx on assistant.messages (user_id);
create unique index messages_idempotency_key on assistant.messages (user_id, idempotency_key) where idempotency_key is not null;

create table assistant.turn_event (
  message_id bigint not null references assistant.messages on delete cascade,
  number     integer not null,
  tenant_id  integer not null references platform.tenant,
  user_id    uuid not null references platform.users on delete cascade,
  name       text not null,
  data       jsonb not null,
  created_at timestamptz not null,
  primary key (message_id, number)
);
comment on table assistant.turn_event is 'What was streamed of an answer, so that whoever lost the connection reads on. Kept for a day.';
create index turn_event_created_idx on assistant.turn_event (created_at);
create index turn_event_user_idx on assistant.turn_event (user_id);

create table assistant.usage_day (
  tenant_id         integer not null references platform.tenant,
  user_id           uuid not null references platform.users on delete cascade,
  day               date not null,
  model             text not null,
  turns             bigint not null default 0,
  requests          bigint not null default 0,
  prompt_tokens     bigint not null default 0,
  completion_tokens bigint not null default 0,
  failures          bigint not null default 0,
  primary key (tenant_id, day, user_id, model)
);
comment on table assistant.usage_day is 'What models used, by person and UTC day.';
create index usage_day_user_idx on assistant.usage_day (user_id);

grant select, insert, update, delete on
  assistant.approval, assistant.conversations, assistant.messages, assistant.turn_event, assistant.usage_day
  to mainstem_api, mainstem_worker;
grant select, insert on assistant.tool_call to mainstem_api;
grant select, insert, delete on assistant.tool_call to mainstem_worker;

select platform.protect(t) from unnest(array[
  'assistant.approval', 'assistant.tool_call', 'assistant.conversations', 'assistant.messages', 'assistant.turn_event',
  'assistant.usage_day']::regclass[]) t;

-- Beside the tenant, the person: nobody reads what another said or asked.
do $$
declare
  v_table text;
begin
  foreach v_table in array array['conversations', 'messages', 'turn_event', 'approval'] loop
    execute format('create policy own_rows on assistant.%I as restrictive for all to mainstem_api '
                   'using (tenant_id = platform.current_tenant_id() '
                   '       and user_id is not distinct from platform.current_user_id()) '
                   'with check (tenant_id = platform.current_tenant_id() '
                   '            and user_id is not distinct from platform.current_user_id())', v_table);
  end loop;
end $$;

-- The documents' statements name their objects without schema.
do $$
declare
  v_path constant text := coalesce(
    (select substr(s, length('search_path=') + 1)
     from pg_db_role_setting r cross join unnest(r.setconfig) s
     where r.setdatabase = (select oid from pg_database where datname = current_database()) and r.setrole = 0
       and s like 'search\_path=%'),
    'public, api, business, staging, platform');
begin
  execute format('alter database %I set search_path = %s', current_database(), v_path || ', assistant');
exception
  when insufficient_privilege then
    raise warning 'not the owner of database %: add assistant to its search_path', current_database();
end $$;
