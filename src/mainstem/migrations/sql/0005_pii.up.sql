-- Personal data: who (subjects, known by keyed hashes of their identifiers), their data keys (wrapped), erasures, and the
-- customers of the vault with what is sealed of them.

create schema pii;
comment on schema pii is 'People: random subject ids, keyed hashes of their identifiers, wrapped data keys, erasures.';
grant usage on schema pii to mainstem_api, mainstem_worker;

create table pii.lookup_key (
  tenant_id integer primary key references platform.tenant,
  key_id    text not null,
  wrapped   bytea not null
);
comment on table pii.lookup_key is 'The key of a tenant''s lookups, wrapped by the installation''s key (PII_KEY).';

create table pii.subject (
  tenant_id  integer not null references platform.tenant,
  subject_id uuid not null,
  created_at timestamptz not null default clock_timestamp(),
  erased_at  timestamptz,
  primary key (tenant_id, subject_id)
);
comment on table pii.subject is 'People whose personal data came in, under a random id; the rows of erased ones stay.';

create table pii.subject_key (
  tenant_id  integer not null,
  subject_id uuid not null,
  key_id     text not null,
  wrapped    bytea not null,
  primary key (tenant_id, subject_id),
  foreign key (tenant_id, subject_id) references pii.subject
);
comment on table pii.subject_key is
  'One random data key per person, wrapped by the installation''s key (PII_KEY). Erasing a person deletes it.';
comment on column pii.subject_key.key_id is 'Which key wraps it; mainstem subject rewrap brings all under the current one.';
create index subject_key_key_idx on pii.subject_key (key_id, tenant_id, subject_id);

create table pii.subject_identifier (
  tenant_id  integer not null,
  lookup     bytea not null constraint subject_identifier_lookup_check check (length(lookup) = 32),
  subject_id uuid not null,
  kind       text not null
             constraint subject_identifier_kind_check check (kind in ('email', 'phone', 'user', 'visitor', 'session')),
  primary key (tenant_id, lookup),
  foreign key (tenant_id, subject_id) references pii.subject_key on delete cascade
);
comment on table pii.subject_identifier is 'Keyed hashes (HMAC-SHA-256) of what a person is known by; gone after an erasure.';
create index subject_identifier_subject_idx on pii.subject_identifier (tenant_id, subject_id);

create table pii.erasure (
  tenant_id  integer not null,
  subject_id uuid not null,
  erased_at  timestamptz not null default clock_timestamp(),
  erased_by  text not null,
  ticket     text constraint erasure_ticket_check check (length(ticket) between 1 and 200),
  counts     jsonb not null,
  primary key (tenant_id, subject_id),
  foreign key (tenant_id, subject_id) references pii.subject
);
comment on table pii.erasure is 'Who was erased when and by whom: the proof, without personal data.';

grant select, insert, update, delete on all tables in schema pii to mainstem_worker;
grant select, insert on pii.lookup_key, pii.subject, pii.subject_key, pii.subject_identifier, pii.erasure to mainstem_api;
grant update (erased_at) on pii.subject to mainstem_api;
-- a row lock needs the right to update; the API changes no key
grant update (key_id), delete on pii.subject_key to mainstem_api;
grant delete on pii.subject_identifier to mainstem_api;
select platform.protect('pii.lookup_key'), platform.protect('pii.subject'), platform.protect('pii.subject_key'),
       platform.protect('pii.subject_identifier'), platform.protect('pii.erasure');

-- customers in the vault, as `mainstem.vault.model` describes them

create table vault.hub_customer (
  tenant_id   integer not null,
  customer_hk bytea not null,
  customer_bk text not null,
  load_ts     timestamptz not null,
  rsrc        text not null,
  primary key (tenant_id, customer_hk)
);
comment on table vault.hub_customer is
  'People by their random subject id; who that is, only their sealed satellite says.';

create table vault.lnk_customer_visitor (
  tenant_id   integer not null,
  customer_hk bytea not null,
  visitor_hk  bytea not null,
  load_ts     timestamptz not null,
  rsrc        text not null,
  primary key (tenant_id, customer_hk, visitor_hk)
);
create index lnk_customer_visitor_1_idx on vault.lnk_customer_visitor (tenant_id, visitor_hk, customer_hk);
comment on table vault.lnk_customer_visitor is 'Which visitors said who they are, and who they said.';

create table vault.sat_customer_site_pii (
  tenant_id   integer not null,
  customer_hk bytea not null,
  fields      text not null,
  load_ts     timestamptz not null,
  raw_id      bigint not null,
  hashdiff    bytea not null,
  rsrc        text not null,
  sealed      jsonb,
  primary key (tenant_id, customer_hk, fields, load_ts, raw_id)
);
comment on table vault.sat_customer_site_pii is
  'Personal data in site events over time, sealed: a history for each set of fields that is sent together.';

create table vault.sat_customer_pii (
  tenant_id   integer not null,
  customer_hk bytea not null,
  fields      text not null,
  load_ts     timestamptz not null,
  raw_id      bigint not null,
  hashdiff    bytea not null,
  rsrc        text not null,
  sealed      jsonb,
  primary key (tenant_id, customer_hk, fields, load_ts, raw_id)
);
comment on table vault.sat_customer_pii is
  'Personal data in all other events over time, sealed: a history for each set of fields that is sent together.';

alter table vault.nhl_event
  add column customer_hk bytea not null default decode(repeat('00', 32), 'hex');
-- the default stays: the release before knows no customers
-- few events are about a known person
create index nhl_event_customer_idx on vault.nhl_event (tenant_id, customer_hk, received_at)
  where customer_hk <> '\x0000000000000000000000000000000000000000000000000000000000000000'::bytea;

create or replace function vault.add_ghosts() returns trigger
language plpgsql security definer set search_path = vault, pg_temp
as $$
declare
  zero  constant bytea := decode(repeat('00', 32), 'hex');
  dawn  constant timestamptz := '1900-01-01 00:00:00+00';
  maker constant text := 'mainstem';
begin
  insert into hub_visitor values (new.tenant_id, zero, '(unknown)', dawn, maker) on conflict do nothing;
  insert into hub_session values (new.tenant_id, zero, '(unknown)', dawn, maker) on conflict do nothing;
  insert into hub_page values (new.tenant_id, zero, '(unknown)', dawn, maker) on conflict do nothing;
  insert into hub_campaign values (new.tenant_id, zero, null, null, null, dawn, maker) on conflict do nothing;
  insert into hub_customer values (new.tenant_id, zero, '(unknown)', dawn, maker) on conflict do nothing;
  insert into sat_page values (new.tenant_id, zero, dawn, 0, zero, maker) on conflict do nothing;
  insert into sat_visitor_device values (new.tenant_id, zero, dawn, 0, zero, maker) on conflict do nothing;
  insert into sat_customer_site_pii values (new.tenant_id, zero, '(unknown)', dawn, 0, zero, maker) on conflict do nothing;
  insert into sat_customer_pii values (new.tenant_id, zero, '(unknown)', dawn, 0, zero, maker) on conflict do nothing;
  return null;
end $$;

grant select, insert, update, delete
  on vault.hub_customer, vault.lnk_customer_visitor, vault.sat_customer_site_pii, vault.sat_customer_pii to mainstem_worker;
grant select
  on vault.hub_customer, vault.lnk_customer_visitor, vault.sat_customer_site_pii, vault.sat_customer_pii to mainstem_api;
select platform.protect('vault.hub_customer'), platform.protect('vault.lnk_customer_visitor'),
       platform.protect('vault.sat_customer_site_pii'), platform.protect('vault.sat_customer_pii');

-- tenants that are older than customers
insert into vault.hub_customer
  select tenant_id, decode(repeat('00', 32), 'hex'), '(unknown)', '1900-01-01 00:00:00+00', 'mainstem'
  from platform.tenant;
insert into vault.sat_customer_site_pii
  select tenant_id, decode(repeat('00', 32), 'hex'), '(unknown)', '1900-01-01 00:00:00+00', 0,
         decode(repeat('00', 32), 'hex'), 'mainstem'
  from platform.tenant;
insert into vault.sat_customer_pii
  select tenant_id, decode(repeat('00', 32), 'hex'), '(unknown)', '1900-01-01 00:00:00+00', 0,
         decode(repeat('00', 32), 'hex'), 'mainstem'
  from platform.tenant;
