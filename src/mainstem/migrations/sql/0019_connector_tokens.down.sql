revoke update (body) on platform.mail from mainstem_api;
create or replace trigger note_step after insert or update on connectors.ledger
  for each row execute function connectors.note_step();
drop index connectors.delivery_bounded_idx;
alter table connectors.delivery
  drop constraint delivery_repeats_fkey,
  add constraint delivery_repeats_fkey foreign key (repeats) references connectors.delivery on delete set null;
alter table connectors.delivery drop column replayed, drop column correlation_id;
alter table connectors.ledger drop column correlation_id;
alter table connectors.booking drop column unsure, drop column correlation_id, drop column people;
drop table connectors.sign_in, connectors.token;
