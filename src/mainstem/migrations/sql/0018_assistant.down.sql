drop schema assistant cascade;

do $$
declare
  v_path constant text := (
    select substr(s, length('search_path=') + 1)
    from pg_db_role_setting r cross join unnest(r.setconfig) s
    where r.setdatabase = (select oid from pg_database where datname = current_database()) and r.setrole = 0
      and s like 'search\_path=%');
begin
  if v_path is not null then
    execute format('alter database %I set search_path = %s', current_database(), replace(v_path, ', assistant', ''));
  end if;
exception
  when insufficient_privilege then
    raise warning 'not the owner of database %: its search_path stays', current_database();
end $$;
