-- Accounts: sessions of people, the links that are mailed to them, invitations, and keys that act for a person.

alter table platform.users
  drop constraint users_role_check,
  add constraint users_role_check check (role in ('owner', 'member', 'viewer', 'guest')),
  alter column password_hash drop not null,
  add column email_verified_at timestamptz;
comment on column platform.users.password_hash is 'Null: signs in elsewhere (Better Auth), or has not chosen one yet.';
comment on column platform.users.email_verified_at is
  'When it was shown that the e-mail is the person''s, or somebody vouched for it; only then other sign-in servers'' word for it counts.';
-- until now, everybody was made by an operator
update platform.users set email_verified_at = created_at;

-- what belongs to a person belongs to the person's tenant
drop index platform.users_tenant_idx;
alter table platform.users add constraint users_tenant_key unique (tenant_id, user_id);

alter table platform.api_key
  add column user_id uuid,
  add constraint api_key_user_fkey foreign key (tenant_id, user_id) references platform.users (tenant_id, user_id)
    on delete cascade,
  add constraint api_key_person_check check (user_id is null or kind = 'secret');
comment on column platform.api_key.user_id is
  'Whom it acts for: it may do what its scopes and the person''s role both allow, and ends with the person.';
create index api_key_user_idx on platform.api_key (user_id) where user_id is not null;

create table platform.session (
  session_id   uuid primary key,
  tenant_id    integer not null,
  user_id      uuid not null,
  user_agent   text not null default '' constraint session_agent_check check (length(user_agent) <= 300),
  address      text,
  created_at   timestamptz not null default now(),
  last_seen_at timestamptz not null default now(),
  expires_at   timestamptz not null,
  ended_at     timestamptz,
  constraint session_user_fkey foreign key (tenant_id, user_id) references platform.users (tenant_id, user_id)
    on update cascade on delete cascade
) with (fillfactor = 80);
comment on table platform.session is 'Sign-ins. A token is good as long as its session has not ended. Gone a day after its end.';
comment on column platform.session.address is 'Where from, shortened to /24 or /48; null where IP_MODE drops addresses.';
comment on column platform.session.last_seen_at is 'To five minutes: it is written no more often.';
create index session_user_idx on platform.session (user_id, expires_at) where ended_at is null;
create index session_over_idx on platform.session (least(expires_at, ended_at));

create table platform.account_link (
  token_hash bytea primary key constraint account_link_hash_check check (length(token_hash) = 32),
  tenant_id  integer not null references platform.tenant,
  user_id    uuid,
  purpose    text not null constraint account_link_purpose_check check (purpose in ('verify', 'reset')),
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  used_at    timestamptz,
  constraint account_link_user_fkey foreign key (tenant_id, user_id) references platform.users (tenant_id, user_id)
    on update cascade on delete cascade
);
comment on table platform.account_link is
  'Links that were mailed, by the SHA-256 of their 256 random bits. Each works once. Gone a day after its end.';
comment on column platform.account_link.user_id is
  'Null: nobody has that e-mail, or nothing was to be done. Written all the same, so that asking costs as much.';
create index account_link_user_idx on platform.account_link (user_id, purpose) where used_at is null;
create index account_link_over_idx on platform.account_link (expires_at);

create table platform.invitation (
  invitation_id integer generated always as identity primary key,
  tenant_id     integer not null references platform.tenant,
  email         text not null constraint invitation_email_check check (email = lower(email) and email like '%_@_%'),
  role          text not null constraint invitation_role_check check (role in ('owner', 'member', 'viewer', 'guest')),
  token_hash    bytea not null constraint invitation_hash_key unique
                constraint invitation_hash_check check (length(token_hash) = 32),
  invited_by    text not null default '',
  created_at    timestamptz not null default now(),
  sent_at       timestamptz not null default now(),
  expires_at    timestamptz not null,
  accepted_at   timestamptz,
  revoked_at    timestamptz,
  constraint invitation_end_check check (accepted_at is null or revoked_at is null)
);
comment on table platform.invitation is
  'People who were asked to join a tenant. The newest link of each is the one that works. Gone 30 days after its end.';
comment on column platform.invitation.invited_by is 'Who asked: `user:<uuid>`, `key:<id>` or `cli`.';
create unique index invitation_open_key on platform.invitation (tenant_id, email)
  where accepted_at is null and revoked_at is null;
create index invitation_tenant_idx on platform.invitation (tenant_id, invitation_id desc);

alter table platform.mail add column sealed bytea;
comment on column platform.mail.sealed is
  'The text where it carries a secret, sealed by a key of the installation; body stays empty, and this goes when the mail is done with.';

-- sign-ins and links of mails are no business of requests that already know their tenant
grant select, insert, update, delete on platform.session, platform.account_link, platform.invitation to mainstem_worker;
grant select, update on platform.session to mainstem_api;
grant select, insert, update on platform.invitation to mainstem_api;
select platform.protect(t) from unnest(array[
  'platform.session', 'platform.account_link', 'platform.invitation']::regclass[]) t;
