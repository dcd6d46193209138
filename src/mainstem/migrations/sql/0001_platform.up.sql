-- Tenants, API keys, users and shared counters: what every other schema stands on.

do $$
begin
  if not exists (select from pg_roles where rolname = 'mainstem_api') then
    create role mainstem_api nologin;
  end if;
  if not exists (select from pg_roles where rolname = 'mainstem_worker') then
    create role mainstem_worker nologin;
  end if;
  execute format('grant mainstem_api, mainstem_worker to %I', current_user);
exception
  -- roles belong to the cluster: two databases migrated at the same moment both try
  when duplicate_object or unique_violation then null;
end $$;

create schema platform;
comment on schema platform is 'Tenants, keys, users, shared rate counters. Knows no feature.';
grant usage on schema platform to mainstem_api, mainstem_worker;

create table platform.tenant (
  tenant_id  integer generated always as identity primary key,
  slug       text not null constraint tenant_slug_key unique
             constraint tenant_slug_check check (slug ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
  name       text not null constraint tenant_name_check check (length(name) between 1 and 200),
  created_at timestamptz not null default now()
);
comment on table platform.tenant is 'One customer of the hub; every other row belongs to exactly one.';
insert into platform.tenant (slug, name) values ('default', 'Default');

-- The tenant of the current transaction, or null: what row-level security compares with.
-- `mainstem.tenant_id` is set by the program, `mainstem.tenant` (a slug) by people in psql.
create function platform.tenant_id_of_slug(p_slug text) returns integer
language sql stable security definer set search_path = platform, pg_temp
as $$ select tenant_id from platform.tenant where slug = p_slug $$;

create function platform.current_tenant_id() returns integer
language sql stable
as $$
  select coalesce(
    nullif(current_setting('mainstem.tenant_id', true), '')::integer,
    platform.tenant_id_of_slug(nullif(current_setting('mainstem.tenant', true), '')))
$$;
comment on function platform.current_tenant_id() is
  'Tenant chosen by the setting mainstem.tenant_id or mainstem.tenant; null when none is set.';

create function platform.acting_tenant_id() returns integer
language plpgsql stable
as $$
declare
  v_tenant constant integer := platform.current_tenant_id();
  v_slug   constant text := nullif(current_setting('mainstem.tenant', true), '');
begin
  -- whoever names a tenant means that one: a slip of the pen must not show or change another's events
  if v_tenant is null and v_slug is not null then
    raise exception 'mainstem.tenant names no tenant: %', v_slug using errcode = 'invalid_parameter_value';
  end if;
  return coalesce(v_tenant, platform.tenant_id_of_slug('default'));
end $$;
comment on function platform.acting_tenant_id() is
  'As current_tenant_id(), and the tenant default when no setting names one: for people in psql.';

create table platform.api_key (
  api_key_id      integer generated always as identity primary key,
  tenant_id       integer not null references platform.tenant,
  key_hash        bytea not null constraint api_key_hash_key unique
                  constraint api_key_hash_check check (length(key_hash) = 32),
  prefix          text not null,
  label           text not null default '',
  kind            text not null default 'secret'
                  constraint api_key_kind_check check (kind in ('secret', 'public')),
  scopes          text[] not null
                  constraint api_key_scopes_check check (
                    cardinality(scopes) > 0
                    and scopes <@ array['ingest', 'read', 'admin', 'connectors', 'tasks']),
  allowed_origins text[] not null default '{}',
  imported        boolean not null default false,
  created_at      timestamptz not null default now(),
  revoked_at      timestamptz,
  constraint api_key_public_check check (kind = 'secret' or scopes = array['ingest'])
);
comment on table platform.api_key is 'API keys as SHA-256 of at least 256 random bits; shown once, never stored.';
comment on column platform.api_key.prefix is 'First characters of the key, to tell keys apart in lists.';
create index api_key_tenant_idx on platform.api_key (tenant_id, api_key_id);

-- Under this name because the deployment documents query `users`.
create table platform.users (
  user_id       uuid primary key,
  tenant_id     integer not null references platform.tenant,
  email         text not null constraint users_email_check check (email = lower(email) and email like '%_@_%'),
  name          text not null default '',
  password_hash text not null,
  role          text not null default 'member'
                constraint users_role_check check (role in ('owner', 'member', 'viewer')),
  failed_signins integer not null default 0,
  locked_until  timestamptz,
  created_at    timestamptz not null default now(),
  disabled_at   timestamptz,
  constraint users_email_key unique (email)
);
comment on table platform.users is 'People who sign in; passwords as argon2id hashes.';
create index users_tenant_idx on platform.users (tenant_id, user_id);

-- Losing the counters in a crash only forgives some requests, so they need no WAL.
create unlogged table platform.rate_window (
  subject    text not null,
  window_at  timestamptz not null,
  used       bigint not null,
  primary key (subject, window_at)
);
comment on table platform.rate_window is 'Requests or events used per subject and window, shared by all processes.';

grant select on platform.tenant to mainstem_api, mainstem_worker;
grant select, insert, update, delete on platform.tenant, platform.api_key, platform.users to mainstem_worker;
grant select, insert, update on platform.api_key, platform.users to mainstem_api;
grant select, insert, update, delete on platform.rate_window to mainstem_api, mainstem_worker;

-- Turns on and forces row-level security on one tenant table. Later migrations call it, too.
create function platform.protect(p_table regclass) returns void
language plpgsql
as $$
begin
  execute format('alter table %s enable row level security', p_table);
  execute format('alter table %s force row level security', p_table);
  execute format('create policy tenant_isolation on %s for all to mainstem_api '
                 'using (tenant_id = platform.current_tenant_id()) '
                 'with check (tenant_id = platform.current_tenant_id())', p_table);
  execute format('create policy worker_all on %s for all to mainstem_worker using (true) with check (true)', p_table);
end $$;
comment on function platform.protect(regclass) is 'Forces row-level security by tenant_id on a table.';

select platform.protect('platform.tenant'), platform.protect('platform.api_key'), platform.protect('platform.users');
