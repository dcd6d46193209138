-- Connectors: tokens of sources that a person has signed in at; what deliveries, bookings and orders remember of how they came.

create table connectors.token (
  tenant_id    integer not null references platform.tenant,
  connector    text not null,
  sealed       bytea,
  renew_at     timestamptz,
  version      bigint not null default 0,
  saved_at     timestamptz,
  claim_id     uuid,
  leased_until timestamptz not null default '-infinity',
  primary key (tenant_id, connector),
  constraint token_sealed_check check ((sealed is null) = (renew_at is null))
);
comment on table connectors.token is 'What opens a source, once an admin of it has signed in. One process renews it at a time.';
comment on column connectors.token.sealed is 'Access and refresh token, sealed by the key of the installation; null before the first sign-in.';
comment on column connectors.token.version is 'Grows with every save: tokens that were replaced meanwhile never come back.';

create table connectors.sign_in (
  tenant_id    integer not null references platform.tenant,
  connector    text not null,
  state_sha256 bytea not null constraint sign_in_state_check check (length(state_sha256) = 32),
  verifier     bytea not null,
  redirect_uri text not null,
  by           text not null,
  expires_at   timestamptz not null,
  primary key (tenant_id, connector, state_sha256)
);
comment on table connectors.sign_in is 'Sign-ins that were begun and are not over. A state serves once: its row goes with its use.';
comment on column connectors.sign_in.verifier is 'The verifier of RFC 7636, sealed by the key of the installation.';

alter table connectors.booking
  add column unsure boolean not null default false,
  add column correlation_id text,
  add column people bytea[] not null default '{}';
comment on column connectors.booking.people is
  'Keyed hashes of the addresses and numbers of people that stood in a reading of it: how an erasure finds it.';
comment on column connectors.booking.unsure is
  'Something else was sent after the confirmed order was: what is there may not be what the ledger says, until it is sent or seen again.';
comment on column connectors.booking.correlation_id is 'Of the request or run that told of it last.';

alter table connectors.ledger add column correlation_id text;
comment on column connectors.ledger.correlation_id is 'Of the request or run that it goes back to.';

alter table connectors.delivery
  add column replayed boolean not null default false,
  add column correlation_id text;
comment on column connectors.delivery.replayed is 'Somebody had it worked on again: what it says may be over, so that the source is asked.';
comment on column connectors.delivery.correlation_id is 'Of the request that brought it, as it stands in the log.';
-- a repetition goes with the first of its body: two that outlived it would both be the first
alter table connectors.delivery
  drop constraint delivery_repeats_fkey,
  add constraint delivery_repeats_fkey foreign key (repeats) references connectors.delivery on delete cascade;
create index delivery_bounded_idx on connectors.delivery (tenant_id, connector, delivery_id)
  where signature <> 'valid' or repeats is not null;

-- what a step is not is no business of the trigger: an erasure changes plans
create or replace trigger note_step after insert or update of state, reason, order_id on connectors.ledger
  for each row execute function connectors.note_step();

-- an erasure reaches mails, whoever asks for it
grant update (body) on platform.mail to mainstem_api;
grant select, insert, update, delete on connectors.token, connectors.sign_in to mainstem_api, mainstem_worker;
select platform.protect('connectors.token'), platform.protect('connectors.sign_in');
