do $$
begin
  execute format('alter database %I reset search_path', current_database());
exception
  when insufficient_privilege then
    raise warning 'not the owner of database %: its search_path stays', current_database();
end $$;
drop view staging.pipeline_dashboard;
drop function staging.field(json, text[]);
drop function staging.get_pipeline_status();
drop function staging.trigger_pipeline_now();
drop function staging.auto_process_if_needed();
drop function staging.processing_summary(bigint, bigint, bigint, bigint);
drop function staging.process_pending(integer, interval);
drop function staging.is_own(xid);
drop schema api cascade;
drop function raw.event_uid(integer, text, text);
drop index raw.batch_recent_idx;
drop function business.sessions_from_scratch(integer);
drop table business.site_day, business.visitor_day, business.site_hour, business.session;
drop type business.session_view, business.session_origin;
