drop view business.visitor, business.session_current, business.page, business.campaign, business.session_visitor, business.page_history, business.visitor_device_history, business.site_event, business.customer, business.customer_visitor, business.event;
drop index vault.hub_session_bk_idx, vault.hub_visitor_bk_idx, vault.hub_page_bk_idx;

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
create or replace function vault.open_load(p_lane integer) returns timestamptz
language plpgsql
as $$
declare
  v_load_ts timestamptz;
begin
  perform pg_advisory_xact_lock(hashtext('vault.lane'), p_lane);
  insert into vault.lane as l (lane, load_ts) values (p_lane, clock_timestamp())
  on conflict (lane) do update set load_ts = greatest(excluded.load_ts, l.load_ts + interval '1 microsecond')
  returning load_ts into v_load_ts;
  return v_load_ts;
end $$;
drop function vault.make_ghost(regclass, integer);
drop function vault.close_loads(timestamptz);
drop function vault.open_load(integer, bigint);
drop table vault.snapshot, vault.model_load, vault.model, vault.model_state;
-- comments say nothing wrong about the older schema, so they stay
