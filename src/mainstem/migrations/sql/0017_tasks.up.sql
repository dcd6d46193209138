-- Tasks: rows of one person, seen by their owner, their assignee and whom they are shared with.

-- The person of the current transaction, or null: what policies of rows of one person compare with.
create function platform.current_user_id() returns uuid
language sql stable
as $$ select nullif(current_setting('mainstem.user_id', true), '')::uuid $$;
comment on function platform.current_user_id() is 'Person chosen by the setting mainstem.user_id; null when there is none.';

create schema tasks;
comment on schema tasks is 'What people have to do: tasks, comments, reminders, and rules that make tasks of events.';
grant usage on schema tasks to mainstem_api, mainstem_worker;

create table tasks.counter (
  tenant_id integer primary key references platform.tenant,
  last_id   integer not null
);
comment on table tasks.counter is 'The last task id of a tenant.';

-- Under this name because the deployment documents query `tasks`.
create table tasks.tasks (
  tenant_id    integer not null references platform.tenant,
  task_id      integer not null,
  uid          uuid not null constraint tasks_uid_key unique,
  user_id      uuid not null,
  assignee_id  uuid,
  shared_with  uuid[] not null default '{}' constraint tasks_shared_check check (cardinality(shared_with) <= 100),
  title        text not null constraint tasks_title_check check (length(title) between 1 and 200),
  description  text not null default '' constraint tasks_description_check check (length(description) <= 1024),
  status       text not null default 'pending'
               constraint tasks_status_check check (status in ('pending', 'in_progress', 'completed')),
  completed    boolean not null generated always as (status = 'completed') stored,
  priority     text not null default 'medium' constraint tasks_priority_check check (priority in ('low', 'medium', 'high')),
  labels       text[] not null default '{}' constraint tasks_labels_check check (cardinality(labels) <= 50),
  due_date     timestamptz,
  all_day      boolean not null default false,
  due_words    text,
  zone         text not null default 'UTC',
  recurrence   text constraint tasks_recurrence_check check (length(recurrence) <= 500),
  repeat_from  text not null default 'due' constraint tasks_repeat_from_check check (repeat_from in ('due', 'completion')),
  repeat_start timestamptz,
  series_uid   uuid,
  occurrence   integer not null default 1,
  version      integer not null default 1,
  rule_id      integer,
  created_by   text not null,
  created_at   timestamptz not null,
  updated_at   timestamptz not null,
  completed_at timestamptz,
  completed_by text,
  primary key (tenant_id, task_id),
  constraint tasks_owner_fk foreign key (tenant_id, user_id) references platform.users (tenant_id, user_id),
  constraint tasks_assignee_fk foreign key (tenant_id, assignee_id) references platform.users (tenant_id, user_id),
  constraint tasks_completed_check check ((status = 'completed') = (completed_at is not null)),
  constraint tasks_repeat_check check ((recurrence is null) = (series_uid is null) and (recurrence is null) = (repeat_start is null)),
  constraint tasks_repeat_due_check check (recurrence is null or due_date is not null)
);
comment on table tasks.tasks is 'Tasks, each of one person: row-level security shows it to its owner, its assignee and whom it is shared with.';
comment on column tasks.tasks.task_id is 'Counted for each tenant; uid is unique everywhere.';
comment on column tasks.tasks.user_id is 'The owner, for ever.';
comment on column tasks.tasks.due_words is 'When it is due, in the words that were typed.';
comment on column tasks.tasks.all_day is 'No time of the day was said: due_date is the last second of the day in zone.';
comment on column tasks.tasks.recurrence is 'RRULE (RFC 5545, 3.3.10) in the zone''s wall time.';
comment on column tasks.tasks.repeat_from is 'What the next date is counted from: the due date, or the moment of completion.';
comment on column tasks.tasks.repeat_start is 'First date of the series: DTSTART.';
comment on column tasks.tasks.version is 'Grows with each change.';
-- completing an occurrence makes the next one once, whoever completes it how often
create unique index tasks_series_key on tasks.tasks (tenant_id, series_uid, occurrence) where series_uid is not null;

create table tasks.participant (
  tenant_id integer not null,
  user_id   uuid not null,
  task_id   integer not null,
  completed boolean not null,
  rank      smallint not null,
  due_at    timestamptz not null,
  primary key (tenant_id, user_id, task_id),
  constraint participant_task_fk foreign key (tenant_id, task_id) references tasks.tasks on delete cascade,
  constraint participant_user_fk foreign key (tenant_id, user_id) references platform.users (tenant_id, user_id)
);
comment on table tasks.participant is 'Who sees a task, with what lists are sorted by: written by the trigger of tasks.tasks alone.';
comment on column tasks.participant.rank is 'Priority: 1 low, 2 medium, 3 high.';
comment on column tasks.participant.due_at is 'Infinity where the task has no date.';
create index participant_task_idx on tasks.participant (tenant_id, task_id);
create index participant_status_idx on tasks.participant (tenant_id, user_id, completed, task_id);
create index participant_due_idx on tasks.participant (tenant_id, user_id, due_at, task_id);
create index participant_open_due_idx on tasks.participant (tenant_id, user_id, completed, due_at, task_id);
create index participant_rank_idx on tasks.participant (tenant_id, user_id, rank, task_id);
create index participant_open_rank_idx on tasks.participant (tenant_id, user_id, completed, rank, task_id);

create table tasks.label (
  tenant_id integer not null,
  user_id   uuid not null,
  label     text not null,
  task_id   integer not null,
  primary key (tenant_id, user_id, label, task_id),
  constraint label_participant_fk foreign key (tenant_id, user_id, task_id) references tasks.participant on delete cascade
);
comment on table tasks.label is
  'Labels of the tasks that a person sees: written by the trigger of tasks.tasks alone. A B-tree, because row-level '
  'security keeps a GIN index from being asked.';
create index label_task_idx on tasks.label (tenant_id, user_id, task_id);

create index tasks_words_idx on tasks.tasks using gin (to_tsvector('simple', title || ' ' || description));

create function tasks.place() returns trigger
language plpgsql security definer set search_path = tasks, pg_temp
as $$
declare
  v_people constant uuid[] := array(
    select distinct p from unnest(array[new.user_id, new.assignee_id] || new.shared_with) p where p is not null);
begin
  delete from participant where tenant_id = new.tenant_id and task_id = new.task_id and user_id <> all (v_people);
  insert into participant (tenant_id, user_id, task_id, completed, rank, due_at)
  select new.tenant_id, p, new.task_id, new.status = 'completed',
         case new.priority when 'low' then 1 when 'medium' then 2 else 3 end, coalesce(new.due_date, 'infinity')
  from unnest(v_people) p
  on conflict (tenant_id, user_id, task_id) do update set
    completed = excluded.completed, rank = excluded.rank, due_at = excluded.due_at
  where (participant.completed, participant.rank, participant.due_at)
        is distinct from (excluded.completed, excluded.rank, excluded.due_at);
  delete from label l
  where l.tenant_id = new.tenant_id and l.task_id = new.task_id and l.user_id = any (v_people)
    and l.label <> all (new.labels);
  insert into label (tenant_id, user_id, label, task_id)
  select new.tenant_id, p, w, new.task_id from unnest(v_people) p cross join unnest(new.labels) w
  on conflict do nothing;
  return null;
end $$;
create trigger place after insert or update of assignee_id, shared_with, status, priority, due_date, labels
  on tasks.tasks for each row execute function tasks.place();

create function tasks.keep_owner() returns trigger
language plpgsql
as $$
declare
  v_person constant uuid := platform.current_user_id();
begin
  if (new.tenant_id, new.task_id, new.uid, new.user_id, new.created_at)
     is distinct from (old.tenant_id, old.task_id, old.uid, old.user_id, old.created_at) then
    raise exception 'a task keeps its owner and its identity' using errcode = 'insufficient_privilege';
  end if;
  if v_person is not null and v_person <> old.user_id
     and (new.assignee_id, new.shared_with) is distinct from (old.assignee_id, old.shared_with) then
    raise exception 'only the owner of a task assigns and shares it' using errcode = 'insufficient_privilege';
  end if;
  return new;
end $$;
create trigger keep_owner before update on tasks.tasks for each row execute function tasks.keep_owner();

-- Words are looked for with an index that row-level security would keep from being asked; what is found is the person's.
create function tasks.found(p_words text) returns setof integer
language sql stable security definer set search_path = tasks, pg_temp
as $$
  select t.task_id
  from tasks t
  join participant p on p.tenant_id = t.tenant_id and p.task_id = t.task_id and p.user_id = platform.current_user_id()
  where t.tenant_id = platform.current_tenant_id()
    and to_tsvector('simple', t.title || ' ' || t.description) @@ to_tsquery('simple', p_words)
$$;
comment on function tasks.found(text) is 'Ids of the tasks with these words that the person of the transaction sees.';

create table tasks.task_link (
  tenant_id integer not null,
  task_id   integer not null,
  type      text not null
            constraint task_link_type_check check (type in ('booking', 'order', 'visitor', 'alert', 'webhook', 'link')),
  ref       text not null constraint task_link_ref_check check (length(ref) between 1 and 300),
  primary key (tenant_id, task_id, type, ref),
  constraint task_link_task_fk foreign key (tenant_id, task_id) references tasks.tasks on delete cascade
);
comment on table tasks.task_link is 'What a task is about: a thing of the hub by its type and id.';
create index task_link_ref_idx on tasks.task_link (tenant_id, type, ref, task_id);

create table tasks.comment (
  comment_id bigint generated always as identity primary key,
  tenant_id  integer not null,
  task_id    integer not null,
  user_id    uuid not null,
  body       text not null constraint comment_body_check check (length(body) between 1 and 4000),
  created_at timestamptz not null,
  constraint comment_task_fk foreign key (tenant_id, task_id) references tasks.tasks on delete cascade,
  constraint comment_user_fk foreign key (tenant_id, user_id) references platform.users (tenant_id, user_id)
);
comment on table tasks.comment is 'What people said about a task.';
create index comment_task_idx on tasks.comment (tenant_id, task_id, comment_id);

create table tasks.reminder (
  reminder_id    bigint generated always as identity primary key,
  tenant_id      integer not null,
  task_id        integer not null,
  user_id        uuid not null,
  minutes_before integer constraint reminder_minutes_check check (minutes_before between 0 and 525600),
  remind_at      timestamptz,
  sent_at        timestamptz,
  outcome        text constraint reminder_outcome_check check (outcome in ('sent', 'skipped', 'failed')),
  created_at     timestamptz not null,
  constraint reminder_task_fk foreign key (tenant_id, task_id) references tasks.tasks on delete cascade,
  constraint reminder_participant_fk foreign key (tenant_id, user_id, task_id)
    references tasks.participant (tenant_id, user_id, task_id) on delete cascade,
  constraint reminder_sent_check check ((sent_at is null) = (outcome is null)),
  constraint reminder_time_check check (minutes_before is not null or remind_at is not null)
);
comment on table tasks.reminder is 'When to remind whom of a task, by mail and live, once.';
comment on column tasks.reminder.remind_at is 'Null: minutes before a date that the task does not have.';
create index reminder_task_idx on tasks.reminder (tenant_id, task_id, reminder_id);
create index reminder_due_idx on tasks.reminder (remind_at, reminder_id) where sent_at is null;

create table tasks.rule (
  rule_id     integer generated always as identity primary key,
  tenant_id   integer not null references platform.tenant,
  name        text not null constraint rule_name_check check (length(name) between 1 and 200),
  kinds       text[] not null constraint rule_kinds_check check (cardinality(kinds) between 1 and 20),
  filter      jsonb,
  title       text not null constraint rule_title_check check (length(title) between 1 and 500),
  description text not null default '' constraint rule_description_check check (length(description) <= 2000),
  priority    text not null default 'medium' constraint rule_priority_check check (priority in ('low', 'medium', 'high')),
  labels      text[] not null default '{}' constraint rule_labels_check check (cardinality(labels) <= 50),
  due_minutes integer constraint rule_due_check check (due_minutes between 0 and 5256000),
  owner_id    uuid not null,
  assignee_id uuid,
  enabled     boolean not null default true,
  version     integer not null default 1,
  made        bigint not null default 0,
  created_by  text not null,
  created_at  timestamptz not null,
  updated_at  timestamptz not null,
  constraint rule_name_key unique (tenant_id, name),
  constraint rule_owner_fk foreign key (tenant_id, owner_id) references platform.users (tenant_id, user_id),
  constraint rule_assignee_fk foreign key (tenant_id, assignee_id) references platform.users (tenant_id, user_id)
);
comment on table tasks.rule is 'Which events become tasks, of whom.';
comment on column tasks.rule.due_minutes is 'When the task is due, in minutes after the event; null: no date.';
comment on column tasks.rule.made is 'How many tasks it has made.';

create table tasks.match (
  rule_id     integer not null references tasks.rule on delete cascade,
  event_uid   uuid not null,
  tenant_id   integer not null references platform.tenant,
  kind        text not null,
  source      text not null,
  subject     text,
  occurred_at timestamptz not null,
  data        json,
  matched_at  timestamptz not null default now(),
  made_at     timestamptz,
  task_id     integer,
  failure     text,
  primary key (rule_id, event_uid)
);
comment on table tasks.match is
  'Events that met a rule, written by the load: a task is made of each once. The data goes when that is done.';
create index match_due_idx on tasks.match (matched_at, rule_id, event_uid) where made_at is null;
create index match_made_idx on tasks.match (made_at) where made_at is not null;

grant select, insert, update, delete on tasks.tasks, tasks.task_link, tasks.reminder, tasks.rule
  to mainstem_api, mainstem_worker;
grant select, insert, update on tasks.counter to mainstem_api, mainstem_worker;
grant select, insert, delete on tasks.comment to mainstem_api, mainstem_worker;
grant select on tasks.participant, tasks.label to mainstem_api;
grant select, insert, update, delete on tasks.participant, tasks.label, tasks.match to mainstem_worker;
grant select on tasks.match to mainstem_api;
select platform.protect(t) from unnest(array[
  'tasks.counter', 'tasks.tasks', 'tasks.participant', 'tasks.label', 'tasks.task_link', 'tasks.comment',
  'tasks.reminder', 'tasks.rule', 'tasks.match']::regclass[]) t;

-- Restrictive: beside the tenant, the person must fit.
create function tasks.is_mine(p_tenant integer, p_task integer, p_may_change boolean) returns boolean
language sql stable security definer set search_path = tasks, pg_temp
as $$
  select exists (
    select from participant p
    join tasks t on t.tenant_id = p.tenant_id and t.task_id = p.task_id
    where p.tenant_id = platform.current_tenant_id() and p.tenant_id = p_tenant and p.task_id = p_task
      and p.user_id = platform.current_user_id()
      and (not p_may_change or platform.current_user_id() in (t.user_id, t.assignee_id)))
$$;
comment on function tasks.is_mine(integer, integer, boolean) is
  'Whether the person of the transaction sees a task, or may change it: its owner and its assignee may.';

-- Reminders are each person's own, but they all move with the date, whoever changes it.
create function tasks.move_reminders(p_tenant integer, p_task integer, p_due timestamptz, p_now timestamptz) returns void
language sql security definer set search_path = tasks, pg_temp
as $$
  update reminder r
  set remind_at = p_due - make_interval(mins => r.minutes_before),
      sent_at = case when p_due - make_interval(mins => r.minutes_before) > p_now then null else r.sent_at end,
      outcome = case when p_due - make_interval(mins => r.minutes_before) > p_now then null else r.outcome end
  where r.tenant_id = p_tenant and r.task_id = p_task and r.minutes_before is not null
    and (platform.current_user_id() is null or is_mine(p_tenant, p_task, true))
$$;
comment on function tasks.move_reminders(integer, integer, timestamptz, timestamptz) is
  'Moves the reminders of a task that the person of the transaction may change; those that are to come are open again.';

create function tasks.repeat_reminders(
  p_tenant integer, p_task integer, p_next integer, p_due timestamptz, p_now timestamptz) returns void
language sql security definer set search_path = tasks, pg_temp
as $$
  insert into reminder (tenant_id, task_id, user_id, minutes_before, remind_at, created_at)
  select r.tenant_id, p_next, r.user_id, r.minutes_before, p_due - make_interval(mins => r.minutes_before), p_now
  from reminder r
  join participant p on p.tenant_id = r.tenant_id and p.user_id = r.user_id and p.task_id = p_next
  where r.tenant_id = p_tenant and r.task_id = p_task and r.minutes_before is not null
    and (platform.current_user_id() is null or (is_mine(p_tenant, p_task, true) and is_mine(p_tenant, p_next, true)))
  order by r.reminder_id
$$;
comment on function tasks.repeat_reminders(integer, integer, integer, timestamptz, timestamptz) is
  'Gives the next occurrence of a task the reminders of the last one that count minutes before the date.';

create policy seen on tasks.tasks as restrictive for select to mainstem_api
  using (tenant_id = platform.current_tenant_id()
         and platform.current_user_id() = any (array[user_id, assignee_id] || shared_with));
-- An assignee who completes an occurrence makes the next one, which is its owner's as the one before.
create function tasks.continues(p_owner uuid, p_assignee uuid, p_series uuid, p_occurrence integer) returns boolean
language sql stable security definer set search_path = tasks, pg_temp
as $$
  select p_assignee = platform.current_user_id() and exists (
    select from tasks t
    where t.tenant_id = platform.current_tenant_id() and t.series_uid = p_series and t.occurrence = p_occurrence - 1
      and t.user_id = p_owner and t.assignee_id = p_assignee and t.status = 'completed')
$$;
comment on function tasks.continues(uuid, uuid, uuid, integer) is
  'Whether an occurrence follows one of the same owner that the person of the transaction is assigned to and has completed.';
create policy own on tasks.tasks as restrictive for insert to mainstem_api
  with check (tenant_id = platform.current_tenant_id()
              and (user_id = platform.current_user_id()
                   or tasks.continues(user_id, assignee_id, series_uid, occurrence)));
create policy changed on tasks.tasks as restrictive for update to mainstem_api
  using (tenant_id = platform.current_tenant_id() and platform.current_user_id() in (user_id, assignee_id))
  with check (tenant_id = platform.current_tenant_id() and platform.current_user_id() in (user_id, assignee_id));
create policy removed on tasks.tasks as restrictive for delete to mainstem_api
  using (tenant_id = platform.current_tenant_id() and user_id = platform.current_user_id());

create policy mine on tasks.participant as restrictive for all to mainstem_api
  using (tenant_id = platform.current_tenant_id() and user_id = platform.current_user_id())
  with check (tenant_id = platform.current_tenant_id() and user_id = platform.current_user_id());
create policy mine on tasks.label as restrictive for all to mainstem_api
  using (tenant_id = platform.current_tenant_id() and user_id = platform.current_user_id())
  with check (tenant_id = platform.current_tenant_id() and user_id = platform.current_user_id());

create policy seen on tasks.task_link as restrictive for select to mainstem_api
  using (tenant_id = platform.current_tenant_id() and tasks.is_mine(tenant_id, task_id, false));
create policy added on tasks.task_link as restrictive for insert to mainstem_api
  with check (tenant_id = platform.current_tenant_id() and tasks.is_mine(tenant_id, task_id, true));
create policy changed on tasks.task_link as restrictive for update to mainstem_api
  using (tenant_id = platform.current_tenant_id() and tasks.is_mine(tenant_id, task_id, true))
  with check (tenant_id = platform.current_tenant_id() and tasks.is_mine(tenant_id, task_id, true));
create policy removed on tasks.task_link as restrictive for delete to mainstem_api
  using (tenant_id = platform.current_tenant_id() and tasks.is_mine(tenant_id, task_id, true));

create policy seen on tasks.comment as restrictive for select to mainstem_api
  using (tenant_id = platform.current_tenant_id() and tasks.is_mine(tenant_id, task_id, false));
create policy own on tasks.comment as restrictive for insert to mainstem_api
  with check (tenant_id = platform.current_tenant_id() and user_id = platform.current_user_id()
              and tasks.is_mine(tenant_id, task_id, false));
create policy removed on tasks.comment as restrictive for delete to mainstem_api
  using (tenant_id = platform.current_tenant_id() and user_id = platform.current_user_id());

create policy mine on tasks.reminder as restrictive for all to mainstem_api
  using (tenant_id = platform.current_tenant_id() and user_id = platform.current_user_id())
  with check (tenant_id = platform.current_tenant_id() and user_id = platform.current_user_id());

-- tasks in the vault, as the engine makes them of `mainstem.vault.model`

create table "vault"."sat_customer_task_pii" (
  "tenant_id" int4 not null,
  "customer_hk" bytea not null,
  "fields" text not null,
  "load_ts" timestamptz not null,
  "raw_id" int8 not null,
  "hashdiff" bytea not null,
  "rsrc" text not null,
  "sealed" jsonb,
  primary key ("tenant_id", "customer_hk", "fields", "load_ts", "raw_id")
);
create index "sat_customer_task_pii_load_idx" on "vault"."sat_customer_task_pii" using brin ("load_ts") with (autosummarize = on, pages_per_range = 32);
comment on table "vault"."sat_customer_task_pii" is 'What people wrote in their tasks over time, sealed: a history for each set of fields that is sent together.';
comment on column "vault"."sat_customer_task_pii"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "vault"."sat_customer_task_pii"."customer_hk" is 'Hash key of the customer; 32 zero bytes: none.';
comment on column "vault"."sat_customer_task_pii"."fields" is 'Names of the personal fields that came together.';
comment on column "vault"."sat_customer_task_pii"."load_ts" is 'Time of the load that brought the row; strictly increasing per lane.';
comment on column "vault"."sat_customer_task_pii"."raw_id" is 'The raw event that brought the row: raw.event, while its day is kept.';
comment on column "vault"."sat_customer_task_pii"."hashdiff" is 'Hash of the payload: a new row is stored when it differs from the last.';
comment on column "vault"."sat_customer_task_pii"."rsrc" is 'Where it came from: the source of the event.';
comment on column "vault"."sat_customer_task_pii"."sealed" is 'The values of these fields, sealed by the person''s own key.';

create table "vault"."hub_task" (
  "tenant_id" int4 not null,
  "task_hk" bytea not null,
  "task_uid" text not null,
  "load_ts" timestamptz not null,
  "rsrc" text not null,
  primary key ("tenant_id", "task_hk")
);
create index "hub_task_load_idx" on "vault"."hub_task" using brin ("load_ts") with (autosummarize = on, pages_per_range = 32);
comment on table "vault"."hub_task" is 'Tasks by their uid; what they say is in no table here but the sealed satellite.';
comment on column "vault"."hub_task"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "vault"."hub_task"."task_hk" is 'Hash key of the task; 32 zero bytes: none.';
comment on column "vault"."hub_task"."task_uid" is 'The task''s uid.';
comment on column "vault"."hub_task"."load_ts" is 'Time of the load that brought the row; strictly increasing per lane.';
comment on column "vault"."hub_task"."rsrc" is 'Where it came from: the source of the event.';

create table "vault"."sat_task" (
  "tenant_id" int4 not null,
  "task_hk" bytea not null,
  "load_ts" timestamptz not null,
  "raw_id" int8 not null,
  "hashdiff" bytea not null,
  "rsrc" text not null,
  "task_version" int8 not null,
  "task_id" int4,
  "task_status" text,
  "task_priority" text,
  "task_due_at" timestamptz,
  "recurrence" text,
  "occurrence" int4,
  "owner_id" text,
  "assignee_id" text,
  "task_completed_at" timestamptz,
  "task_deleted" bool,
  "acted_by" text,
  primary key ("tenant_id", "task_hk", "load_ts", "raw_id")
);
create index "sat_task_load_idx" on "vault"."sat_task" using brin ("load_ts") with (autosummarize = on, pages_per_range = 32);
comment on table "vault"."sat_task" is 'Where a task stood over time, whichever change of it came first.';
comment on column "vault"."sat_task"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "vault"."sat_task"."task_hk" is 'Hash key of the task; 32 zero bytes: none.';
comment on column "vault"."sat_task"."load_ts" is 'Time of the load that brought the row; strictly increasing per lane.';
comment on column "vault"."sat_task"."raw_id" is 'The raw event that brought the row: raw.event, while its day is kept.';
comment on column "vault"."sat_task"."hashdiff" is 'Hash of the payload: a new row is stored when it differs from the last.';
comment on column "vault"."sat_task"."rsrc" is 'Where it came from: the source of the event.';
comment on column "vault"."sat_task"."task_version" is 'Number of the change of the task: the greatest is the newest, in whatever order they came.';
comment on column "vault"."sat_task"."task_id" is 'Number of the task within the tenant.';
comment on column "vault"."sat_task"."task_status" is 'Where the task stands: pending, in_progress or completed.';
comment on column "vault"."sat_task"."task_priority" is 'How much the task matters: low, medium or high.';
comment on column "vault"."sat_task"."task_due_at" is 'When the task is due; null: no date.';
comment on column "vault"."sat_task"."recurrence" is 'How the task comes again: RRULE; null: it does not.';
comment on column "vault"."sat_task"."occurrence" is 'Number of the task in its series, from 1.';
comment on column "vault"."sat_task"."owner_id" is 'The user whose task it is.';
comment on column "vault"."sat_task"."assignee_id" is 'The user who is to do it; null: its owner.';
comment on column "vault"."sat_task"."task_completed_at" is 'When the task was completed; null: it is open.';
comment on column "vault"."sat_task"."task_deleted" is 'Whether the task was deleted.';
comment on column "vault"."sat_task"."acted_by" is 'Who made the change: user:<id>, rule:<id> or cli.';

create table "vault"."lnk_task_booking" (
  "tenant_id" int4 not null,
  "task_hk" bytea not null,
  "booking_hk" bytea not null,
  "load_ts" timestamptz not null,
  "rsrc" text not null,
  primary key ("tenant_id", "task_hk", "booking_hk")
);
create index "lnk_task_booking_1_idx" on "vault"."lnk_task_booking" ("tenant_id", "booking_hk", "task_hk");
create index "lnk_task_booking_load_idx" on "vault"."lnk_task_booking" using brin ("load_ts") with (autosummarize = on, pages_per_range = 32);
comment on table "vault"."lnk_task_booking" is 'Which bookings tasks were about.';
comment on column "vault"."lnk_task_booking"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "vault"."lnk_task_booking"."task_hk" is 'Hash key of the task; 32 zero bytes: none.';
comment on column "vault"."lnk_task_booking"."booking_hk" is 'Hash key of the booking; 32 zero bytes: none.';
comment on column "vault"."lnk_task_booking"."load_ts" is 'Time of the load that brought the row; strictly increasing per lane.';
comment on column "vault"."lnk_task_booking"."rsrc" is 'Where it came from: the source of the event.';

create table "vault"."lnk_task_pos_order" (
  "tenant_id" int4 not null,
  "task_hk" bytea not null,
  "pos_order_hk" bytea not null,
  "load_ts" timestamptz not null,
  "rsrc" text not null,
  primary key ("tenant_id", "task_hk", "pos_order_hk")
);
create index "lnk_task_pos_order_1_idx" on "vault"."lnk_task_pos_order" ("tenant_id", "pos_order_hk", "task_hk");
create index "lnk_task_pos_order_load_idx" on "vault"."lnk_task_pos_order" using brin ("load_ts") with (autosummarize = on, pages_per_range = 32);
comment on table "vault"."lnk_task_pos_order" is 'Which orders tasks were about.';
comment on column "vault"."lnk_task_pos_order"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "vault"."lnk_task_pos_order"."task_hk" is 'Hash key of the task; 32 zero bytes: none.';
comment on column "vault"."lnk_task_pos_order"."pos_order_hk" is 'Hash key of the order; 32 zero bytes: none.';
comment on column "vault"."lnk_task_pos_order"."load_ts" is 'Time of the load that brought the row; strictly increasing per lane.';
comment on column "vault"."lnk_task_pos_order"."rsrc" is 'Where it came from: the source of the event.';

create table "vault"."lnk_task_visitor" (
  "tenant_id" int4 not null,
  "task_hk" bytea not null,
  "visitor_hk" bytea not null,
  "load_ts" timestamptz not null,
  "rsrc" text not null,
  primary key ("tenant_id", "task_hk", "visitor_hk")
);
create index "lnk_task_visitor_1_idx" on "vault"."lnk_task_visitor" ("tenant_id", "visitor_hk", "task_hk");
create index "lnk_task_visitor_load_idx" on "vault"."lnk_task_visitor" using brin ("load_ts") with (autosummarize = on, pages_per_range = 32);
comment on table "vault"."lnk_task_visitor" is 'Which visitors tasks were about.';
comment on column "vault"."lnk_task_visitor"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "vault"."lnk_task_visitor"."task_hk" is 'Hash key of the task; 32 zero bytes: none.';
comment on column "vault"."lnk_task_visitor"."visitor_hk" is 'Hash key of the visitor; 32 zero bytes: none.';
comment on column "vault"."lnk_task_visitor"."load_ts" is 'Time of the load that brought the row; strictly increasing per lane.';
comment on column "vault"."lnk_task_visitor"."rsrc" is 'Where it came from: the source of the event.';

create table "vault"."lnk_task_tracked_link" (
  "tenant_id" int4 not null,
  "task_hk" bytea not null,
  "tracked_link_hk" bytea not null,
  "load_ts" timestamptz not null,
  "rsrc" text not null,
  primary key ("tenant_id", "task_hk", "tracked_link_hk")
);
create index "lnk_task_tracked_link_1_idx" on "vault"."lnk_task_tracked_link" ("tenant_id", "tracked_link_hk", "task_hk");
create index "lnk_task_tracked_link_load_idx" on "vault"."lnk_task_tracked_link" using brin ("load_ts") with (autosummarize = on, pages_per_range = 32);
comment on table "vault"."lnk_task_tracked_link" is 'Which tracked links tasks were about.';
comment on column "vault"."lnk_task_tracked_link"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "vault"."lnk_task_tracked_link"."task_hk" is 'Hash key of the task; 32 zero bytes: none.';
comment on column "vault"."lnk_task_tracked_link"."tracked_link_hk" is 'Hash key of the tracked link; 32 zero bytes: none.';
comment on column "vault"."lnk_task_tracked_link"."load_ts" is 'Time of the load that brought the row; strictly increasing per lane.';
comment on column "vault"."lnk_task_tracked_link"."rsrc" is 'Where it came from: the source of the event.';

grant select, insert, update, delete on vault.sat_customer_task_pii, vault.hub_task, vault.sat_task, vault.lnk_task_booking,
  vault.lnk_task_pos_order, vault.lnk_task_visitor, vault.lnk_task_tracked_link
  to mainstem_worker;
grant select on vault.sat_customer_task_pii, vault.hub_task, vault.sat_task, vault.lnk_task_booking,
  vault.lnk_task_pos_order, vault.lnk_task_visitor, vault.lnk_task_tracked_link
  to mainstem_api;
select platform.protect(t) from unnest(array[
  'vault.sat_customer_task_pii', 'vault.hub_task', 'vault.sat_task', 'vault.lnk_task_booking',
  'vault.lnk_task_pos_order', 'vault.lnk_task_visitor', 'vault.lnk_task_tracked_link']::regclass[]) t;

select vault.make_ghost(c.oid::regclass, t.tenant_id)
from pg_class c cross join platform.tenant t
where c.relnamespace = 'vault'::regnamespace and c.relname in ('sat_customer_task_pii', 'hub_task', 'sat_task');

-- histories of tasks are asked for by their uid
create index nhl_event_task_idx on vault.nhl_event (tenant_id, subject, received_at) where kind like 'task.%';

-- views for people, as the engine makes them

create or replace view "business"."task" with (security_invoker = true) as
select h."tenant_id" as "tenant_id",
       h."task_uid" as "task_uid",
       h."load_ts" as "first_seen",
       s1."load_ts" as "last_changed",
       s1."task_version" as "task_version",
       s1."task_id" as "task_id",
       s1."task_status" as "task_status",
       s1."task_priority" as "task_priority",
       s1."task_due_at" as "task_due_at",
       s1."recurrence" as "recurrence",
       s1."occurrence" as "occurrence",
       s1."owner_id" as "owner_id",
       s1."assignee_id" as "assignee_id",
       s1."task_completed_at" as "task_completed_at",
       s1."task_deleted" as "task_deleted",
       s1."acted_by" as "acted_by"
from "vault"."hub_task" h
left join lateral (
  select t.* from "vault"."sat_task" t where t."tenant_id" = h."tenant_id" and t."task_hk" = h."task_hk"
  order by t."task_version" desc, t."load_ts" desc, t."raw_id" desc limit 1
) s1 on true
where h."task_hk" <> '\x0000000000000000000000000000000000000000000000000000000000000000'::bytea;
comment on view "business"."task" is 'Tasks by their uid; what they say is in no table here but the sealed satellite. Current state.';
comment on column "business"."task"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "business"."task"."task_uid" is 'The task''s uid.';
comment on column "business"."task"."first_seen" is 'When the vault first heard of it: the time of the load.';
comment on column "business"."task"."last_changed" is 'When the vault last learned something new about it; null: nothing but its key is known.';
comment on column "business"."task"."task_version" is 'Number of the change of the task: the greatest is the newest, in whatever order they came.';
comment on column "business"."task"."task_id" is 'Number of the task within the tenant.';
comment on column "business"."task"."task_status" is 'Where the task stands: pending, in_progress or completed.';
comment on column "business"."task"."task_priority" is 'How much the task matters: low, medium or high.';
comment on column "business"."task"."task_due_at" is 'When the task is due; null: no date.';
comment on column "business"."task"."recurrence" is 'How the task comes again: RRULE; null: it does not.';
comment on column "business"."task"."occurrence" is 'Number of the task in its series, from 1.';
comment on column "business"."task"."owner_id" is 'The user whose task it is.';
comment on column "business"."task"."assignee_id" is 'The user who is to do it; null: its owner.';
comment on column "business"."task"."task_completed_at" is 'When the task was completed; null: it is open.';
comment on column "business"."task"."task_deleted" is 'Whether the task was deleted.';
comment on column "business"."task"."acted_by" is 'Who made the change: user:<id>, rule:<id> or cli.';
grant select on "business"."task" to "mainstem_api", "mainstem_worker";

create or replace view "business"."task_history" with (security_invoker = true) as
select h."tenant_id" as "tenant_id",
       h."task_uid" as "task_uid",
       s."load_ts" as "valid_from",
       s.valid_to as "valid_to",
       s."rsrc" as "source",
       s."task_version" as "task_version",
       s."task_id" as "task_id",
       s."task_status" as "task_status",
       s."task_priority" as "task_priority",
       s."task_due_at" as "task_due_at",
       s."recurrence" as "recurrence",
       s."occurrence" as "occurrence",
       s."owner_id" as "owner_id",
       s."assignee_id" as "assignee_id",
       s."task_completed_at" as "task_completed_at",
       s."task_deleted" as "task_deleted",
       s."acted_by" as "acted_by"
from "vault"."hub_task" h
cross join lateral (
  select t.*, case when min(t."load_ts") over (order by t."task_version", t."load_ts", t."raw_id" rows between 1 following and unbounded following) is not null then greatest(min(t."load_ts") over (order by t."task_version", t."load_ts", t."raw_id" rows between 1 following and unbounded following), t."load_ts") end as valid_to
  from "vault"."sat_task" t where t."tenant_id" = h."tenant_id" and t."task_hk" = h."task_hk"
) s
where h."task_hk" <> '\x0000000000000000000000000000000000000000000000000000000000000000'::bytea;
comment on view "business"."task_history" is 'Where a task stood over time, whichever change of it came first. One row per version.';
comment on column "business"."task_history"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "business"."task_history"."task_uid" is 'The task''s uid.';
comment on column "business"."task_history"."valid_from" is 'Since when this was known: the time of the load that brought it.';
comment on column "business"."task_history"."valid_to" is 'Until when it was the last thing known; null: it still is.';
comment on column "business"."task_history"."source" is 'Where it came from: the source of the event.';
comment on column "business"."task_history"."task_version" is 'Number of the change of the task: the greatest is the newest, in whatever order they came.';
comment on column "business"."task_history"."task_id" is 'Number of the task within the tenant.';
comment on column "business"."task_history"."task_status" is 'Where the task stands: pending, in_progress or completed.';
comment on column "business"."task_history"."task_priority" is 'How much the task matters: low, medium or high.';
comment on column "business"."task_history"."task_due_at" is 'When the task is due; null: no date.';
comment on column "business"."task_history"."recurrence" is 'How the task comes again: RRULE; null: it does not.';
comment on column "business"."task_history"."occurrence" is 'Number of the task in its series, from 1.';
comment on column "business"."task_history"."owner_id" is 'The user whose task it is.';
comment on column "business"."task_history"."assignee_id" is 'The user who is to do it; null: its owner.';
comment on column "business"."task_history"."task_completed_at" is 'When the task was completed; null: it is open.';
comment on column "business"."task_history"."task_deleted" is 'Whether the task was deleted.';
comment on column "business"."task_history"."acted_by" is 'Who made the change: user:<id>, rule:<id> or cli.';
grant select on "business"."task_history" to "mainstem_api", "mainstem_worker";

create or replace view "business"."task_booking" with (security_invoker = true) as
select h."tenant_id" as "tenant_id",
       k1."task_uid" as "task_uid",
       k2."connector" as "connector",
       k2."site_id" as "site_id",
       k2."booking_id" as "booking_id",
       h."load_ts" as "first_seen"
from "vault"."lnk_task_booking" h
join "vault"."hub_task" k1 on k1."tenant_id" = h."tenant_id" and k1."task_hk" = h."task_hk"
join "vault"."hub_booking" k2 on k2."tenant_id" = h."tenant_id" and k2."booking_hk" = h."booking_hk";
comment on view "business"."task_booking" is 'Which bookings tasks were about.';
comment on column "business"."task_booking"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "business"."task_booking"."task_uid" is 'The task''s uid.';
comment on column "business"."task_booking"."connector" is 'Name of the connector.';
comment on column "business"."task_booking"."site_id" is 'The site, in the words of the system that the booking comes from; empty: not told.';
comment on column "business"."task_booking"."booking_id" is 'Id of the booking in the system that it comes from.';
comment on column "business"."task_booking"."first_seen" is 'When the vault first heard of it: the time of the load.';
grant select on "business"."task_booking" to "mainstem_api", "mainstem_worker";

create or replace view "business"."task_pos_order" with (security_invoker = true) as
select h."tenant_id" as "tenant_id",
       k1."task_uid" as "task_uid",
       k2."connector" as "connector",
       k2."establishment" as "establishment",
       k2."local_id" as "local_id",
       h."load_ts" as "first_seen"
from "vault"."lnk_task_pos_order" h
join "vault"."hub_task" k1 on k1."tenant_id" = h."tenant_id" and k1."task_hk" = h."task_hk"
join "vault"."hub_pos_order" k2 on k2."tenant_id" = h."tenant_id" and k2."pos_order_hk" = h."pos_order_hk";
comment on view "business"."task_pos_order" is 'Which orders tasks were about.';
comment on column "business"."task_pos_order"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "business"."task_pos_order"."task_uid" is 'The task''s uid.';
comment on column "business"."task_pos_order"."connector" is 'Name of the connector.';
comment on column "business"."task_pos_order"."establishment" is 'Where the order goes: the establishment in the system that takes it.';
comment on column "business"."task_pos_order"."local_id" is 'Name of the order in the system that takes it.';
comment on column "business"."task_pos_order"."first_seen" is 'When the vault first heard of it: the time of the load.';
grant select on "business"."task_pos_order" to "mainstem_api", "mainstem_worker";

create or replace view "business"."task_visitor" with (security_invoker = true) as
select h."tenant_id" as "tenant_id",
       k1."task_uid" as "task_uid",
       k2."visitor_bk" as "visitor",
       h."load_ts" as "first_seen"
from "vault"."lnk_task_visitor" h
join "vault"."hub_task" k1 on k1."tenant_id" = h."tenant_id" and k1."task_hk" = h."task_hk"
join "vault"."hub_visitor" k2 on k2."tenant_id" = h."tenant_id" and k2."visitor_hk" = h."visitor_hk";
comment on view "business"."task_visitor" is 'Which visitors tasks were about.';
comment on column "business"."task_visitor"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "business"."task_visitor"."task_uid" is 'The task''s uid.';
comment on column "business"."task_visitor"."visitor" is 'Key of the visitor, made at intake: v:<visitor id>, u:<user id> or h:<daily keyed hash>.';
comment on column "business"."task_visitor"."first_seen" is 'When the vault first heard of it: the time of the load.';
grant select on "business"."task_visitor" to "mainstem_api", "mainstem_worker";

create or replace view "business"."task_tracked_link" with (security_invoker = true) as
select h."tenant_id" as "tenant_id",
       k1."task_uid" as "task_uid",
       k2."tracking_id" as "tracking_id",
       h."load_ts" as "first_seen"
from "vault"."lnk_task_tracked_link" h
join "vault"."hub_task" k1 on k1."tenant_id" = h."tenant_id" and k1."task_hk" = h."task_hk"
join "vault"."hub_tracked_link" k2 on k2."tenant_id" = h."tenant_id" and k2."tracked_link_hk" = h."tracked_link_hk";
comment on view "business"."task_tracked_link" is 'Which tracked links tasks were about.';
comment on column "business"."task_tracked_link"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "business"."task_tracked_link"."task_uid" is 'The task''s uid.';
comment on column "business"."task_tracked_link"."tracking_id" is 'Name of the tracked link within the tenant.';
comment on column "business"."task_tracked_link"."first_seen" is 'When the vault first heard of it: the time of the load.';
grant select on "business"."task_tracked_link" to "mainstem_api", "mainstem_worker";

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
  execute format('alter database %I set search_path = %s', current_database(), v_path || ', tasks');
exception
  when insufficient_privilege then
    raise warning 'not the owner of database %: add tasks to its search_path', current_database();
end $$;
