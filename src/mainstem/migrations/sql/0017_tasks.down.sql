drop view business.task_tracked_link, business.task_visitor, business.task_pos_order, business.task_booking,
  business.task_history, business.task;
drop index vault.nhl_event_task_idx;
drop table vault.lnk_task_tracked_link, vault.lnk_task_visitor, vault.lnk_task_pos_order, vault.lnk_task_booking,
  vault.sat_task, vault.hub_task, vault.sat_customer_task_pii;
drop schema tasks cascade;
drop function platform.current_user_id();

do $$
declare
  v_path constant text := (
    select substr(s, length('search_path=') + 1)
    from pg_db_role_setting r cross join unnest(r.setconfig) s
    where r.setdatabase = (select oid from pg_database where datname = current_database()) and r.setrole = 0
      and s like 'search\_path=%');
begin
  if v_path is not null then
    execute format('alter database %I set search_path = %s', current_database(), replace(v_path, ', tasks', ''));
  end if;
exception
  when insufficient_privilege then
    raise warning 'not the owner of database %: its search_path stays', current_database();
end $$;
