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
  insert into sat_page values (new.tenant_id, zero, dawn, 0, zero, maker) on conflict do nothing;
  insert into sat_visitor_device values (new.tenant_id, zero, dawn, 0, zero, maker) on conflict do nothing;
  return null;
end $$;
drop index vault.nhl_event_customer_idx;
alter table vault.nhl_event drop column customer_hk;
drop table vault.sat_customer_site_pii, vault.sat_customer_pii, vault.lnk_customer_visitor, vault.hub_customer;
drop schema pii cascade;
