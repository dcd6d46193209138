-- Alerts: the minutes of the processes that rules are judged by, rules, episodes, silences, and what is said about them.

create table platform.minute (
  minute         timestamptz not null,
  kind           text not null constraint minute_kind_check check (kind in ('api', 'ingest', 'process')),
  requests       bigint not null default 0,
  errors_4xx     bigint not null default 0,
  errors_5xx     bigint not null default 0,
  ms_sum         double precision not null default 0,
  ms_counts      bigint[] not null,
  cache_hits     bigint not null default 0,
  cache_misses   bigint not null default 0,
  ws_disconnects bigint not null default 0,
  spooled        bigint not null default 0,
  pool_in_use    integer not null default 0,
  pool_max       integer not null default 0,
  primary key (minute, kind)
) with (fillfactor = 50);
comment on table platform.minute is
  'What all processes counted in a minute, added up every ten seconds. Of the whole installation. Kept for 30 days.';
comment on column platform.minute.kind is 'Requests of `api` and `ingest`; `process`: what is no request.';
comment on column platform.minute.ms_counts is
  'Requests by latency: bounds in mainstem.platform.tally.BOUNDS_MS, and one for longer ones; empty where kind is process.';
comment on column platform.minute.spooled is 'Most events that waited in the spool of one process.';
comment on column platform.minute.pool_in_use is
  'Connections in use of the busiest pool of the busiest process, the mean of ten seconds, out of pool_max.';
grant select on platform.minute to mainstem_api;
grant select, insert, update, delete on platform.minute to mainstem_worker;

create table platform.mail (
  mail_id         bigint generated always as identity primary key,
  tenant_id       integer not null references platform.tenant,
  ref             text,
  receiver        text not null,
  subject         text not null,
  body            text not null,
  message_id      text not null,
  status          text not null default 'pending' constraint mail_status_check check (status in ('pending', 'delivered', 'failed')),
  attempts        integer not null default 0,
  last_error      text,
  next_attempt_at timestamptz not null,
  leased_until    timestamptz not null default '-infinity',
  created_at      timestamptz not null,
  finished_at     timestamptz,
  constraint mail_finished_check check ((status = 'pending') = (finished_at is null))
);
comment on table platform.mail is
  'Mails to be sent, one for each receiver, until the server has them or a day is over. Kept for ALERT_RETENTION_DAYS.';
comment on column platform.mail.ref is 'What it is about, in the words of who wrote it: `notification:12`.';
comment on column platform.mail.message_id is 'The same in every attempt: receivers know a mail that comes twice.';
create index mail_due_idx on platform.mail (next_attempt_at, mail_id) where status = 'pending';
create index mail_ref_idx on platform.mail (ref) where ref is not null;
create index mail_finished_idx on platform.mail (finished_at) where finished_at is not null;
grant select, insert on platform.mail to mainstem_api;
grant select, insert, update, delete on platform.mail to mainstem_worker;
select platform.protect('platform.mail');

create schema alerts;
comment on schema alerts is 'Rules, alerts, silences, and what was said about alerts to whom.';
grant usage on schema alerts to mainstem_api, mainstem_worker;

create table alerts.rule (
  rule_id           integer generated always as identity primary key,
  tenant_id         integer not null references platform.tenant,
  name              text not null constraint rule_name_check check (length(name) between 1 and 200),
  description       text not null default '' constraint rule_description_check check (length(description) <= 1000),
  metric            text not null,
  comparison        text not null constraint rule_comparison_check check (comparison in ('>', '>=', '<', '<=')),
  threshold         double precision not null constraint rule_threshold_check check (threshold between -1e15 and 1e15),
  window_s          integer not null default 300 constraint rule_window_check check (window_s between 60 and 86400),
  for_s             integer not null default 0 constraint rule_for_check check (for_s between 0 and 86400),
  keep_firing_s     integer not null default 60 constraint rule_keep_firing_check check (keep_firing_s between 0 and 86400),
  min_volume        bigint not null default 0 constraint rule_volume_check check (min_volume >= 0),
  severity          text not null constraint rule_severity_check check (severity in ('CRITICAL', 'WARNING', 'INFO')),
  no_data           text not null default 'alert' constraint rule_no_data_check check (no_data in ('alert', 'ok', 'keep')),
  labels            jsonb not null default '{}' constraint rule_labels_check check (jsonb_typeof(labels) = 'object'),
  group_by          text[] not null default '{alertname}',
  group_wait_s      integer not null default 30 constraint rule_wait_check check (group_wait_s between 0 and 3600),
  group_interval_s  integer not null default 300 constraint rule_interval_check check (group_interval_s between 15 and 86400),
  repeat_interval_s integer not null default 14400
                    constraint rule_repeat_check check (repeat_interval_s between 60 and 2592000),
  receivers         text[] not null default '{}',
  enabled           boolean not null default true,
  shipped           boolean not null default false,
  created_by        text not null default '',
  created_at        timestamptz not null default now(),
  updated_at        timestamptz not null default now(),
  constraint rule_name_key unique (tenant_id, name)
);
comment on table alerts.rule is 'When something is an alert, and who is told.';
comment on column alerts.rule.metric is 'A name of GET /api/v1/alerts/metrics. One that nobody measures (yet) has no data.';
comment on column alerts.rule.for_s is 'How long the condition must hold before the alert is raised.';
comment on column alerts.rule.keep_firing_s is 'How long it must not be met before the alert is over.';
comment on column alerts.rule.min_volume is 'Samples that stand on less (requests, attempts, …) never meet the condition.';
comment on column alerts.rule.no_data is 'What it means that nothing is known: alert, ok, or keep things as they are.';
comment on column alerts.rule.receivers is 'Mail addresses; none: those of MAIL_TO.';
comment on column alerts.rule.shipped is 'It came with the product.';

create table alerts.seeded (
  tenant_id integer primary key references platform.tenant,
  version   integer not null
);
comment on table alerts.seeded is 'Up to which version a tenant has got the shipped rules: one that was deleted stays deleted.';

create table alerts.silence (
  silence_id integer generated always as identity primary key,
  tenant_id  integer not null references platform.tenant,
  matchers   jsonb not null constraint silence_matchers_check check (jsonb_typeof(matchers) = 'array'),
  starts_at  timestamptz not null,
  ends_at    timestamptz not null,
  created_by text not null,
  comment    text not null constraint silence_comment_check check (length(comment) between 1 and 1000),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint silence_span_check check (starts_at <= ends_at)
);
comment on table alerts.silence is 'Alerts whose labels match all matchers are not told to people from starts_at until ends_at.';
create index silence_tenant_idx on alerts.silence (tenant_id, ends_at);

create table alerts.alert_group (
  group_id          bigint generated always as identity primary key,
  tenant_id         integer not null references platform.tenant,
  key               text not null,
  labels            jsonb not null,
  receivers         text[] not null,
  group_wait_s      integer not null,
  group_interval_s  integer not null,
  repeat_interval_s integer not null,
  due_at            timestamptz not null,
  sent_at           timestamptz,
  created_at        timestamptz not null default now(),
  constraint alert_group_key unique (tenant_id, key)
);
comment on table alerts.alert_group is 'Open alerts that are told together: equal receivers, pauses and labels of group_by. Goes with its last alert.';
create index alert_group_due_idx on alerts.alert_group (due_at);

create table alerts.notification (
  notification_id bigint generated always as identity primary key,
  tenant_id       integer not null references platform.tenant,
  key             text not null,
  reason          text not null constraint notification_reason_check check (reason in ('new', 'resolved', 'repeat', 'test')),
  status          text not null constraint notification_status_check check (status in ('firing', 'resolved')),
  alert_ids       integer[] not null,
  receivers       text[] not null,
  created_at      timestamptz not null default now()
);
comment on table alerts.notification is 'What was told of a group, as event alert.notified and by mail. Kept for ALERT_RETENTION_DAYS.';
create index notification_tenant_idx on alerts.notification (tenant_id, notification_id desc);
create index notification_created_idx on alerts.notification (created_at);

create table alerts.alert (
  alert_id        integer generated always as identity primary key,
  tenant_id       integer not null references platform.tenant,
  rule_id         integer references alerts.rule on delete set null,
  source          text not null constraint alert_source_check check (source in ('rule', 'api')),
  fingerprint     text not null,
  alert_type      text not null constraint alert_type_check check (length(alert_type) between 1 and 200),
  severity        text not null constraint alert_severity_check check (severity in ('CRITICAL', 'WARNING', 'INFO')),
  message         text not null constraint alert_message_check check (length(message) between 1 and 4000),
  labels          jsonb not null default '{}',
  webhook_id      integer,
  value           double precision,
  no_data         boolean not null default false,
  status          text not null default 'firing'
                  constraint alert_status_check check (status in ('firing', 'acknowledged', 'resolved')),
  started_at      timestamptz not null,
  created_at      timestamptz not null,
  created_by      text not null default '',
  acknowledged_at timestamptz,
  acknowledged_by text,
  notes           text constraint alert_notes_check check (length(notes) <= 500),
  resolved_at     timestamptz,
  resolved_by     text,
  occurrences     integer not null default 1,
  last_seen_at    timestamptz not null,
  group_id        bigint references alerts.alert_group on delete set null,
  told            text not null default 'nothing' constraint alert_told_check check (told in ('nothing', 'firing', 'resolved')),
  notification_id bigint references alerts.notification on delete set null,
  delivery_status text not null default 'pending'
                  constraint alert_delivery_check check (delivery_status in ('pending', 'delivered', 'failed')),
  delivery_error  text,
  constraint alert_resolved_check check ((status = 'resolved') = (resolved_at is not null)),
  constraint alert_acknowledged_check check ((acknowledged_at is null) = (acknowledged_by is null)),
  constraint alert_known_check check (status <> 'acknowledged' or acknowledged_at is not null)
) with (fillfactor = 80);
comment on table alerts.alert is 'Episodes: from when something was raised until it was over. A new occurrence after that is a new row.';
comment on column alerts.alert.fingerprint is 'Identity by source and labels; see mainstem.alerts.labels. One open alert of each.';
comment on column alerts.alert.started_at is 'When the condition began to hold; created_at is when it was raised.';
comment on column alerts.alert.resolved_by is 'Null: it was over by itself.';
comment on column alerts.alert.occurrences is 'How often the API was sent it while it was open.';
comment on column alerts.alert.told is 'What people have last been told of it.';
comment on column alerts.alert.delivery_status is 'pending: something is still to be told or mailed; failed: the last mail was given up.';
create unique index alert_open_key on alerts.alert (tenant_id, fingerprint) where status <> 'resolved';
create index alert_tenant_idx on alerts.alert (tenant_id, alert_id desc);
create index alert_created_idx on alerts.alert (tenant_id, created_at);
create index alert_group_idx on alerts.alert (group_id) where group_id is not null;
create index alert_rule_idx on alerts.alert (rule_id) where status <> 'resolved';
create index alert_resolved_idx on alerts.alert (resolved_at) where resolved_at is not null;
create index alert_notification_idx on alerts.alert (notification_id) where notification_id is not null;

create table alerts.instance (
  rule_id     integer not null references alerts.rule on delete cascade,
  fingerprint text not null,
  tenant_id   integer not null references platform.tenant,
  labels      jsonb not null,
  phase       text not null constraint instance_phase_check check (phase in ('pending', 'firing')),
  since       timestamptz not null,
  clear_since timestamptz,
  seen_at     timestamptz not null,
  value       double precision,
  volume      bigint,
  alert_id    integer references alerts.alert on delete cascade,
  primary key (rule_id, fingerprint),
  constraint instance_alert_check check ((phase = 'firing') = (alert_id is not null))
) with (fillfactor = 50);
comment on table alerts.instance is 'Where rules stand on what they look at, where that is not clear.';

create table alerts.round (
  is_the_one boolean primary key default true constraint round_one_check check (is_the_one),
  at         timestamptz not null
);
comment on table alerts.round is 'When rules were judged last, by any process.';
insert into alerts.round (at) values ('-infinity');

grant select, insert, update, delete on
  alerts.rule, alerts.seeded, alerts.silence, alerts.alert_group, alerts.notification, alerts.alert, alerts.instance
  to mainstem_api, mainstem_worker;
grant select, update on alerts.round to mainstem_worker;
select platform.protect(t) from unnest(array[
  'alerts.rule', 'alerts.seeded', 'alerts.silence', 'alerts.alert_group', 'alerts.notification', 'alerts.alert',
  'alerts.instance']::regclass[]) t;
