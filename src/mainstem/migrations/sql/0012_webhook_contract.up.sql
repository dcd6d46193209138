-- Webhooks as the deployment document names them: relations, views and functions for dashboards and workers that speak SQL.
-- All of them act for platform.acting_tenant_id(), and stand on the tables of 0011: there is no second truth.

-- lists of attempts of one endpoint, the latest first
create index attempt_endpoint_idx on webhooks.attempt (endpoint_id, attempt_id desc);

-- What the worker in Python does, too (webhooks/retry.py, payload.py): the tests hold the two against each other.

-- `json` keeps what `jsonb` can't hold: NUL, half a surrogate pair (they become U+FFFD), numbers beyond all bounds (then the
-- whole is given as a text, for a delivery that can't be handed out would be in the way for ever).
create function webhooks.as_jsonb(p_data json) returns jsonb
language plpgsql immutable
as $$
begin
  return p_data::jsonb;
exception when data_exception then
  begin
    return regexp_replace(
      regexp_replace(p_data::text,
        '(?<!\\)((?:\\\\)*)\\u(?:0000|[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2}))', '\1\\ufffd', 'g'),
      '(?<!\\u[dD][89abAB][0-9a-fA-F]{2})(?<!\\)((?:\\\\)*)\\u[dD][c-fC-F][0-9a-fA-F]{2}', '\1\\ufffd', 'g')::jsonb;
  exception when data_exception then
    return to_jsonb(p_data::text);
  end;
end $$;

create function webhooks.uri_path(p_text text) returns text
language sql immutable
as $$
  select coalesce(string_agg(
    case when c collate "C" ~ '[A-Za-z0-9/:@!$&''()*+,;=._~-]' then c
         else regexp_replace(upper(encode(convert_to(c, 'UTF8'), 'hex')), '(..)', '%\1', 'g') end, '' order by n), '')
  from regexp_split_to_table(p_text, '') with ordinality as t (c, n)
$$;
comment on function webhooks.uri_path(text) is 'A text within the path of a URI; see mainstem.webhooks.payload.';

create function webhooks.body(
  p_envelope text, p_tenant text, p_event_uid uuid, p_kind text, p_source text, p_subject text, p_at timestamptz, p_data json)
returns jsonb
language sql stable
as $$
  select case p_envelope
    when 'bare' then v.data
    when 'cloudevents' then jsonb_strip_nulls(jsonb_build_object(
      'specversion', '1.0', 'id', v.id, 'source', '/mainstem/' || p_tenant || '/' || webhooks.uri_path(p_source), 'type', p_kind,
      'time', v.at, 'subject', nullif(p_subject, ''), 'datacontenttype', 'application/json')) || jsonb_build_object('data', v.data)
    else jsonb_strip_nulls(jsonb_build_object(
      'type', p_kind, 'timestamp', v.at, 'id', v.id, 'source', p_source, 'subject', nullif(p_subject, '')))
      || jsonb_build_object('data', v.data) end
  from (select webhooks.as_jsonb(p_data) as data, 'msg_' || replace(p_event_uid::text, '-', '') as id,
               to_char(p_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at) v
$$;
comment on function webhooks.body(text, text, uuid, text, text, text, timestamptz, json) is
  'The body of a delivery; personal data stays sealed.';

create function webhooks.delays(p_policy jsonb) returns double precision[]
language sql immutable
as $$
  select case
    when p_policy is null then array[5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]::double precision[]
    when p_policy ? 'schedule' then array(
      select d::text::double precision from jsonb_array_elements(p_policy -> 'schedule') with ordinality s (d, n) order by n)
    else array(
      select least(coalesce((p_policy ->> 'backoff_base')::double precision, 5) * 2 ^ n,
                   coalesce((p_policy ->> 'max_backoff')::double precision, 86400))
      from generate_series(0, coalesce((p_policy ->> 'max_retries')::integer, 9) - 1) n order by n) end
$$;
comment on function webhooks.delays(jsonb) is 'Seconds from each attempt to the next under a retry policy.';

-- Figures and queue are the workers', too: whoever locks rows of them and then idles in an open transaction is cut off.
create function webhooks.insist_on_haste() returns void
language sql volatile
as $$
  select set_config('idle_in_transaction_session_timeout', '20s', true)
  where current_setting('idle_in_transaction_session_timeout')::interval not between '1 ms' and '20s'
$$;

-- Counts one attempt of an endpoint and judges the endpoint; what changes is told as by the worker.
create function webhooks.count_attempt(p_endpoint integer, p_tenant integer, p_arrived boolean, p_ms integer) returns void
language plpgsql
as $$
declare
  v_now    constant timestamptz := clock_timestamp();
  v_bucket constant integer := 1 + (
    select count(*) from unnest(array[10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000]) b where b < p_ms);
  v_counts integer[] := array_fill(0, array[12]);
  v_told   jsonb;
  j        record;
begin
  perform webhooks.insist_on_haste();
  insert into webhooks.endpoint_total as t (
    endpoint_id, tenant_id, attempts, failed_attempts, ms_sum, ms_min, ms_max, consecutive_failures, failing_since,
    last_attempt_at, last_success_at, last_failure_at)
  values (p_endpoint, p_tenant, 1, case when p_arrived then 0 else 1 end, p_ms, p_ms, p_ms,
          case when p_arrived then 0 else 1 end, case when not p_arrived then v_now end, v_now,
          case when p_arrived then v_now end, case when not p_arrived then v_now end)
  on conflict (endpoint_id) do update set
    attempts = t.attempts + 1,
    failed_attempts = t.failed_attempts + excluded.failed_attempts,
    ms_sum = t.ms_sum + p_ms,
    ms_min = least(t.ms_min, p_ms),
    ms_max = greatest(t.ms_max, p_ms),
    consecutive_failures = case when p_arrived then 0 else t.consecutive_failures + 1 end,
    failing_since = case when not p_arrived then coalesce(t.failing_since, v_now) end,
    warned = case when p_arrived then 0 else t.warned end,
    last_attempt_at = v_now,
    last_success_at = coalesce(excluded.last_success_at, t.last_success_at),
    last_failure_at = coalesce(excluded.last_failure_at, t.last_failure_at);
  v_counts[v_bucket] := 1;
  insert into webhooks.endpoint_minute as m (endpoint_id, minute, tenant_id, delivered, failed, ms_sum, ms_max, ms_counts)
  values (p_endpoint, date_trunc('minute', v_now), p_tenant, case when p_arrived then 1 else 0 end,
          case when p_arrived then 0 else 1 end, p_ms, p_ms, v_counts)
  on conflict (endpoint_id, minute) do update set
    delivered = m.delivered + excluded.delivered,
    failed = m.failed + excluded.failed,
    ms_sum = m.ms_sum + p_ms,
    ms_max = greatest(m.ms_max, p_ms),
    ms_counts[v_bucket] = m.ms_counts[v_bucket] + 1;
  for j in select * from webhooks.judge(array[p_endpoint]) loop
    v_told := jsonb_build_object('webhook_id', j.endpoint_id, 'name', j.name, 'was', j.was, 'health', j.health);
    perform pg_notify('mainstem_live', jsonb_build_object(
      'tenant', p_tenant, 'type', 'webhook_status_changed', 'data', v_told)::text);
    if 'failing' in (j.health, j.was) then
      perform raw.append(p_tenant, jsonb_build_array(jsonb_build_object(
        'kind', case when j.health = 'failing' then 'webhook.failing' else 'webhook.recovered' end,
        'subject', 'webhook:' || p_endpoint, 'data', v_told)), 'sql');
    end if;
  end loop;
end $$;
comment on function webhooks.count_attempt(integer, integer, boolean, integer) is 'Adds one attempt to the figures of an endpoint.';

-- Ends a delivery that waits, in the counters and in the queue; false when it does not wait any more.
create function webhooks.end_delivery(
  p_delivery bigint, p_tenant integer, p_status text, p_attempts integer, p_status_code integer, p_error text,
  p_attempted_at timestamptz)
returns boolean
language plpgsql
as $$
declare
  d record;
begin
  perform webhooks.insist_on_haste();
  delete from webhooks.queue q where q.delivery_id = p_delivery
    and exists (select from webhooks.delivery o where o.delivery_id = p_delivery and o.tenant_id = p_tenant);
  update webhooks.delivery o
  set status = p_status, attempts = o.attempts + p_attempts, last_status_code = coalesce(p_status_code, o.last_status_code),
      last_error = case when p_status = 'failed' then coalesce(p_error, o.last_error) end,
      attempted_at = coalesce(p_attempted_at, o.attempted_at), next_attempt_at = null, finished_at = clock_timestamp()
  where o.delivery_id = p_delivery and o.tenant_id = p_tenant and o.status in ('pending', 'retrying')
  returning o.endpoint_id, o.kind, o.last_status_code, o.last_error into d;
  if not found then
    return false;
  end if;
  insert into webhooks.endpoint_total as t (endpoint_id, tenant_id, delivered, failed)
  values (d.endpoint_id, p_tenant, (p_status = 'delivered')::integer, (p_status = 'failed')::integer)
  on conflict (endpoint_id) do update set
    delivered = t.delivered + excluded.delivered, failed = t.failed + excluded.failed;
  if p_status = 'failed' and p_status_code is distinct from 410 and d.kind not like 'webhook.%' then
    perform raw.append(p_tenant, jsonb_build_array(jsonb_build_object(
      'kind', 'webhook.exhausted', 'subject', 'webhook:' || d.endpoint_id, 'data', jsonb_build_object(
        'webhook_id', d.endpoint_id, 'deliveries', 1, 'delivery_ids', jsonb_build_array(p_delivery),
        'last_status_code', d.last_status_code, 'last_error', d.last_error))), 'sql');
  end if;
  return true;
end $$;

-- Lets a delivery that waits, or was over, wait for another attempt at a time, unclaimed; false when its event is kept no more.
create function webhooks.wait_again(p_delivery bigint, p_tenant integer, p_status text, p_attempts integer, p_at timestamptz)
returns boolean
language plpgsql
as $$
declare
  v_at constant timestamptz := coalesce(p_at, clock_timestamp());
  d    record;
begin
  perform webhooks.insist_on_haste();
  perform from webhooks.queue q where q.delivery_id = p_delivery for update;
  select o.endpoint_id, o.status, e.fifo into d
  from webhooks.delivery o
  join webhooks.endpoint e on e.endpoint_id = o.endpoint_id and e.deleted_at is null
  join webhooks.message m on m.message_id = o.message_id
  where o.delivery_id = p_delivery and o.tenant_id = p_tenant
  for update of o;
  if not found then
    return false;
  end if;
  insert into webhooks.queue as q (delivery_id, endpoint_id, lane, due_at)
  values (p_delivery, d.endpoint_id, case when p_status = 'retrying' and not d.fifo then 1 else 0 end, v_at)
  on conflict (delivery_id) do update set
    -- the head of an ordered queue stays its head; the endpoint pauses instead
    lane = excluded.lane, due_at = case when d.fifo then q.due_at else v_at end, claim_id = null, leased_until = '-infinity';
  if d.fifo and v_at > clock_timestamp() then
    insert into webhooks.pace as p (endpoint_id, not_before) values (d.endpoint_id, v_at)
    on conflict (endpoint_id) do update set not_before = greatest(p.not_before, v_at);
  end if;
  update webhooks.delivery o
  set status = p_status, attempts = o.attempts + p_attempts, next_attempt_at = v_at, finished_at = null
  where o.delivery_id = p_delivery;
  if d.status in ('delivered', 'failed') then
    update webhooks.endpoint_total t
    set delivered = t.delivered - (d.status = 'delivered')::integer, failed = t.failed - (d.status = 'failed')::integer
    where t.endpoint_id = d.endpoint_id;
  end if;
  perform pg_notify('mainstem_deliver', '');
  return true;
end $$;

-- relations

create view api.webhook_health_metrics with (security_invoker = true) as
select e.endpoint_id as metric_id,
       e.endpoint_id as webhook_id,
       coalesce(t.attempts, 0) as total_deliveries,
       coalesce(t.attempts - t.failed_attempts, 0) as successful_deliveries,
       coalesce(t.failed_attempts, 0) as failed_deliveries,
       round(t.ms_sum::numeric / nullif(t.attempts, 0), 2)::numeric(10, 2) as avg_response_time_ms,
       t.ms_max::numeric(10, 2) as max_response_time_ms,
       t.ms_min::numeric(10, 2) as min_response_time_ms,
       case coalesce(t.health, 'unknown') when 'failing' then 'unavailable' else coalesce(t.health, 'unknown') end
         as health_status,
       t.last_attempt_at as last_check_at,
       t.last_success_at,
       t.last_failure_at,
       coalesce(t.consecutive_failures, 0) as consecutive_failures,
       e.created_at,
       greatest(e.updated_at, t.last_attempt_at) as updated_at,
       e.name,
       e.url,
       e.active as is_active
from webhooks.endpoint e
left join webhooks.endpoint_total t on t.endpoint_id = e.endpoint_id
where e.tenant_id = (select platform.acting_tenant_id()) and e.deleted_at is null;
comment on view api.webhook_health_metrics is 'Endpoints of the acting tenant by their attempts: health is about those.';
comment on column api.webhook_health_metrics.total_deliveries is 'Attempts; total = successful + failed.';
comment on column api.webhook_health_metrics.health_status is 'healthy, degraded, unavailable or unknown: by windows of attempts.';

create view api.alert_delivery_queue with (security_invoker = true) as
select d.delivery_id,
       case when d.kind like 'alert.%' and m.subject ~ '^(alert:)?[0-9]{1,18}$'
            then replace(m.subject, 'alert:', '')::bigint end as alert_id,
       d.endpoint_id::bigint as webhook_id,
       webhooks.body(e.envelope, t.slug, d.event_uid, d.kind, m.source, m.subject, m.occurred_at, m.data) as message_body,
       d.status as delivery_status,
       case when d.status in ('delivered', 'failed') then greatest(d.attempts - 1, 0) else d.attempts end::integer
         as retry_count,
       cardinality(webhooks.delays(e.retry_policy)) as max_retries,
       d.next_attempt_at as next_retry_at,
       d.created_at,
       d.attempted_at,
       case when d.status = 'delivered' then d.finished_at end as delivered_at
from webhooks.delivery d
join webhooks.endpoint e on e.endpoint_id = d.endpoint_id and e.deleted_at is null
join platform.tenant t on t.tenant_id = d.tenant_id
left join webhooks.message m on m.message_id = d.message_id
where d.tenant_id = (select platform.acting_tenant_id());
comment on view api.alert_delivery_queue is
  'Deliveries of the acting tenant. Insert one with webhook_id and message_body; set delivery_status and next_retry_at to say what became of it.';

create function webhooks.queue_written() returns trigger
language plpgsql
as $$
declare
  v_tenant  constant integer := platform.acting_tenant_id();
  v_uid     constant uuid := gen_random_uuid();
  v_message bigint;
begin
  if new.message_body is null or coalesce(new.delivery_status, 'pending') <> 'pending' then
    raise exception 'a new delivery has a message_body and is pending' using errcode = 'check_violation';
  end if;
  perform from webhooks.endpoint e
  where e.endpoint_id = new.webhook_id and e.tenant_id = v_tenant and e.deleted_at is null;
  if not found then
    raise exception 'there is no webhook %', new.webhook_id using errcode = 'foreign_key_violation';
  end if;
  insert into webhooks.message (tenant_id, event_uid, kind, source, subject, occurred_at, received_at, data)
  values (v_tenant, v_uid, 'alert.queued', 'sql', 'alert:' || new.alert_id, now(), now(), new.message_body::json)
  returning message_id into v_message;
  insert into webhooks.delivery (tenant_id, endpoint_id, message_id, event_uid, kind, next_attempt_at)
  values (v_tenant, new.webhook_id, v_message, v_uid, 'alert.queued', coalesce(new.next_retry_at, now()))
  returning delivery_id, created_at, next_attempt_at into new.delivery_id, new.created_at, new.next_retry_at;
  insert into webhooks.queue (delivery_id, endpoint_id, due_at) values (new.delivery_id, new.webhook_id, new.next_retry_at);
  insert into webhooks.endpoint_created as c (endpoint_id, tenant_id, deliveries) values (new.webhook_id, v_tenant, 1)
  on conflict (endpoint_id) do update set deliveries = c.deliveries + 1;
  perform pg_notify('mainstem_deliver', '');
  new.delivery_status := 'pending';
  new.retry_count := 0;
  return new;
end $$;
create trigger queue_written instead of insert on api.alert_delivery_queue
  for each row execute function webhooks.queue_written();

create function webhooks.queue_changed() returns trigger
language plpgsql
as $$
declare
  v_tenant constant integer := platform.acting_tenant_id();
  v_known  boolean;
begin
  if (new.delivery_id, new.webhook_id, new.alert_id, new.message_body, new.created_at, new.max_retries)
     is distinct from (old.delivery_id, old.webhook_id, old.alert_id, old.message_body, old.created_at, old.max_retries)
  then
    raise exception 'only delivery_status, retry_count, next_retry_at, attempted_at and delivered_at can be set'
      using errcode = 'feature_not_supported';
  end if;
  if new.delivery_status in ('delivered', 'failed') and old.delivery_status in ('pending', 'retrying') then
    v_known := webhooks.end_delivery(
      old.delivery_id, v_tenant, new.delivery_status, 1, null, null, coalesce(new.attempted_at, clock_timestamp()));
  elsif new.delivery_status in ('pending', 'retrying')
        and (new.delivery_status, new.next_retry_at, new.retry_count)
            is distinct from (old.delivery_status, old.next_retry_at, old.retry_count) then
    v_known := webhooks.wait_again(
      old.delivery_id, v_tenant, new.delivery_status, (new.retry_count > old.retry_count)::integer, new.next_retry_at);
  elsif new.delivery_status not in ('pending', 'retrying', 'delivered', 'failed') then
    raise exception 'delivery_status is pending, retrying, delivered or failed' using errcode = 'check_violation';
  end if;
  return case when v_known is not false then new end;
end $$;
create trigger queue_changed instead of update on api.alert_delivery_queue
  for each row execute function webhooks.queue_changed();

-- views

create view api.v_webhook_health_dashboard with (security_invoker = true) as
select health_status,
       count(*) as webhook_count,
       round(avg(avg_response_time_ms), 2) as avg_response_ms,
       max(max_response_time_ms) as max_response_ms,
       min(min_response_time_ms) as min_response_ms,
       count(*) filter (where last_failure_at > now() - interval '1 hour') as failures_1h,
       count(*) filter (where last_failure_at > now() - interval '24 hours') as failures_24h,
       now() as calculated_at
from api.webhook_health_metrics
group by health_status
order by health_status;
comment on view api.v_webhook_health_dashboard is 'Endpoints by health; failures_* counts endpoints whose last failure is that recent.';

create view api.v_degraded_webhooks with (security_invoker = true) as
select webhook_id, health_status, total_deliveries, successful_deliveries, failed_deliveries,
       round(100 * successful_deliveries / nullif(total_deliveries, 0)::numeric, 1) as success_rate_percent,
       consecutive_failures,
       avg_response_time_ms as avg_response_ms,
       last_check_at, last_success_at, last_failure_at,
       extract(epoch from now() - last_check_at) / 60 as minutes_since_check,
       extract(epoch from now() - last_success_at) / 3600 as hours_since_success,
       name, url, is_active
from api.webhook_health_metrics
where health_status in ('degraded', 'unavailable')
order by consecutive_failures desc, last_failure_at desc, webhook_id;
comment on view api.v_degraded_webhooks is 'Endpoints that are degraded or unavailable, the worst first.';

create view api.v_webhook_performance with (security_invoker = true) as
select webhook_id, total_deliveries, successful_deliveries, failed_deliveries,
       round(100 * successful_deliveries / nullif(total_deliveries, 0)::numeric, 1) as success_rate_percent,
       avg_response_time_ms as avg_response_ms,
       max_response_time_ms as max_response_ms,
       min_response_time_ms as min_response_ms,
       health_status,
       last_check_at,
       case when last_success_at > now() - interval '15 minutes' then 'healthy_recent'
            when last_success_at > now() - interval '1 hour' then 'healthy_hour'
            when last_success_at > now() - interval '24 hours' then 'healthy_day'
            else 'no_recent_success' end as success_freshness,
       now() as calculated_at,
       avg_response_time_ms, consecutive_failures, name, url, is_active
from api.webhook_health_metrics
order by success_rate_percent desc nulls last, total_deliveries desc, webhook_id;
comment on view api.v_webhook_performance is 'How fast and how reliably each endpoint answers.';

grant select on api.webhook_health_metrics, api.v_webhook_health_dashboard, api.v_degraded_webhooks,
  api.v_webhook_performance to mainstem_api, mainstem_worker;
grant select, insert, update on api.alert_delivery_queue to mainstem_api, mainstem_worker;

-- functions

create function api.update_webhook_health(
  p_webhook_id bigint, p_http_status integer, p_response_time_ms integer, p_error_message text default null)
returns boolean
language plpgsql
as $$
declare
  v_tenant constant integer := platform.acting_tenant_id();
begin
  perform from webhooks.endpoint e
  where e.endpoint_id = p_webhook_id and e.tenant_id = v_tenant and e.deleted_at is null;
  if not found then
    return false;
  end if;
  perform webhooks.count_attempt(
    p_webhook_id::integer, v_tenant, coalesce(p_http_status between 200 and 299, false),
    greatest(coalesce(p_response_time_ms, 0), 0));
  return true;
end $$;
comment on function api.update_webhook_health(bigint, integer, integer, text) is
  'Counts an attempt that somebody else made (status 0: no answer); false for an unknown webhook. finish_delivery does it by itself.';

create function api.get_webhook_decrypted(p_webhook_id bigint) returns text
language sql stable
as $$
  select e.url from webhooks.endpoint e
  where e.endpoint_id = p_webhook_id and e.tenant_id = (select platform.acting_tenant_id()) and e.deleted_at is null
$$;
comment on function api.get_webhook_decrypted(bigint) is 'The address of a webhook.';

create function api.count_pending_by_status(
  out pending_count bigint, out retrying_count bigint, out delivered_count bigint, out failed_count bigint,
  out total_count bigint)
language sql stable
as $$
  select c.made - t.delivered - t.failed - r.retrying, r.retrying, t.delivered, t.failed, c.made
  from (select coalesce(sum(x.deliveries), 0)::bigint as made from webhooks.endpoint_created x
        where x.tenant_id = platform.acting_tenant_id()) c,
       (select coalesce(sum(x.delivered), 0)::bigint as delivered, coalesce(sum(x.failed), 0)::bigint as failed
        from webhooks.endpoint_total x where x.tenant_id = platform.acting_tenant_id()) t,
       (select count(*) as retrying
        from webhooks.endpoint e
        join webhooks.queue q on q.endpoint_id = e.endpoint_id
        join webhooks.delivery d on d.delivery_id = q.delivery_id and d.status = 'retrying'
        where e.tenant_id = platform.acting_tenant_id()) r
$$;
comment on function api.count_pending_by_status() is 'Deliveries of the acting tenant by status, from counters and the queue.';

create function api.get_ready_deliveries(p_limit integer default 10, p_lease interval default '2 minutes')
returns table (
  delivery_id bigint, alert_id bigint, webhook_id bigint, message_body jsonb, retry_count integer, max_retries integer,
  webhook_url text, message_id text, claim_id uuid, leased_until timestamptz)
language plpgsql
-- by the order of the indexes: the tables change between empty and huge, faster than statistics follow
set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off
as $$
#variable_conflict use_column
declare
  v_tenant  constant integer := platform.acting_tenant_id();
  v_claim   constant uuid := gen_random_uuid();
  v_left    integer := least(greatest(coalesce(p_limit, 10), 0), 1000);
  v_taken   bigint[] := '{}';
  v_some    bigint[];
  v_take    integer;
  v_granted integer;
  v_pass    integer;
  e         record;
begin
  perform webhooks.insist_on_haste();
  -- first each endpoint gets its share, then whoever has more gets what is left
  for v_pass in 1..2 loop
    for e in
      select p.endpoint_id, p.rate_limit, p.fifo, count(*) over () as endpoints
      from webhooks.endpoint p
      left join webhooks.pace c on c.endpoint_id = p.endpoint_id
      where p.tenant_id = v_tenant and p.active and p.deleted_at is null
        and coalesce(c.not_before, '-infinity') <= clock_timestamp()
        and exists (select from webhooks.queue q where q.endpoint_id = p.endpoint_id
                    and q.due_at <= clock_timestamp() and q.leased_until < clock_timestamp())
      order by p.endpoint_id
    loop
      exit when v_left <= 0;
      v_take := case when v_pass = 1 then greatest(v_left / e.endpoints::integer, 1) else v_left end;
      if e.fifo then
        -- under the lock of its pace, as webhooks.claim has it
        perform from webhooks.pace c
        where c.endpoint_id = e.endpoint_id and c.not_before <= clock_timestamp() for update skip locked;
        continue when not found;
        continue when exists (
          select from webhooks.queue q where q.endpoint_id = e.endpoint_id and q.leased_until >= clock_timestamp());
        v_take := 1;
      end if;
      if e.rate_limit is not null then
        -- whoever counts them now has those that there are
        perform from webhooks.pace c where c.endpoint_id = e.endpoint_id for update skip locked;
        continue when not found;
        update webhooks.pace c
        set tokens = least(e.rate_limit,
              c.tokens + e.rate_limit * greatest(extract(epoch from clock_timestamp() - c.counted_at), 0)),
            counted_at = clock_timestamp()
        where c.endpoint_id = e.endpoint_id
        returning floor(c.tokens)::integer into v_granted;
        v_take := least(v_take, v_granted);
        continue when v_take <= 0;
      end if;
      with due as materialized (
        select q.delivery_id from webhooks.queue q
        where q.endpoint_id = e.endpoint_id and q.due_at <= clock_timestamp() and q.leased_until < clock_timestamp()
          and q.claim_id is distinct from v_claim
        order by q.lane, q.due_at, q.delivery_id limit v_take for update skip locked
      ), claimed as (
        update webhooks.queue q
        set claim_id = v_claim, leased_until = clock_timestamp() + p_lease, attempt = q.attempt + 1
        from due where q.delivery_id = due.delivery_id
        returning q.delivery_id)
      select array_agg(c.delivery_id) into v_some from claimed c;
      continue when v_some is null;
      if e.rate_limit is not null then
        update webhooks.pace c set tokens = c.tokens - cardinality(v_some) where c.endpoint_id = e.endpoint_id;
      end if;
      v_taken := v_taken || v_some;
      v_left := v_left - cardinality(v_some);
    end loop;
  end loop;
  return query
    select q.delivery_id, a.alert_id, a.webhook_id, a.message_body, (q.attempt - 1)::integer, a.max_retries, p.url,
           a.message_id, v_claim, q.leased_until
    from unnest(v_taken) as t (delivery_id)
    join webhooks.queue q on q.delivery_id = t.delivery_id
    join webhooks.endpoint p on p.endpoint_id = q.endpoint_id
    -- one by one: joined freely, all deliveries there are may be read for ten
    cross join lateral (
      select v.alert_id, v.webhook_id, v.message_body, v.max_retries,
             'msg_' || replace(d.event_uid::text, '-', '') as message_id
      from api.alert_delivery_queue v join webhooks.delivery d on d.delivery_id = v.delivery_id
      where v.delivery_id = t.delivery_id
      limit 1) a
    order by q.lane, q.due_at, q.delivery_id;
end $$;
comment on function api.get_ready_deliveries(integer, interval) is
  'Begins the next attempts of the acting tenant: nobody else gets them before the lease ends. Say by finish_delivery what came of each.';

create function api.extend_delivery(p_delivery_id bigint, p_claim_id uuid, p_lease interval default '2 minutes') returns boolean
language sql
as $$
  with kept as (
    update webhooks.queue q set leased_until = clock_timestamp() + p_lease
    where q.delivery_id = p_delivery_id and q.claim_id = p_claim_id
      and exists (select from webhooks.delivery d
                  where d.delivery_id = p_delivery_id and d.tenant_id = (select platform.acting_tenant_id()))
    returning 1)
  select exists (select from kept)
$$;
comment on function api.extend_delivery(bigint, uuid, interval) is 'Keeps a claimed delivery for longer; false when it was lost.';

create function api.finish_delivery(
  p_delivery_id bigint, p_claim_id uuid, p_http_status integer, p_response_time_ms integer,
  p_error_message text default null, p_response text default null, p_retry_after_seconds integer default null)
returns text
language plpgsql
as $$
declare
  v_tenant  constant integer := platform.acting_tenant_id();
  v_arrived constant boolean := coalesce(p_http_status between 200 and 299, false);
  v_code    constant integer := nullif(p_http_status, 0);
  v_ms      constant integer := greatest(coalesce(p_response_time_ms, 0), 0);
  v_at      constant timestamptz := clock_timestamp() - make_interval(secs => v_ms / 1000.0);
  v_error   constant text := case when not v_arrived then coalesce(
    p_error_message, case when v_code is null then 'There was no answer.' else format('The endpoint answered %s.', v_code) end) end;
  v_delays  double precision[];
  v_pause   double precision;
  v_status  text;
  v         record;
begin
  select q.endpoint_id, q.attempt, e.retry_policy, e.name, d.attempts into v
  from webhooks.queue q
  join webhooks.delivery d on d.delivery_id = q.delivery_id and d.tenant_id = v_tenant
  join webhooks.endpoint e on e.endpoint_id = q.endpoint_id
  where q.delivery_id = p_delivery_id and q.claim_id = p_claim_id
  for update of q;
  if not found then
    return null;
  end if;
  -- locks are taken in the order in which the workers take them: queue, delivery, figures, pace, endpoint
  perform from webhooks.delivery d where d.delivery_id = p_delivery_id for update;
  v_delays := webhooks.delays(v.retry_policy);
  v_status := case when v_arrived then 'delivered'
                   when v_code = 410 or v.attempt > cardinality(v_delays) then 'failed' else 'retrying' end;
  v_pause := case when v_code in (429, 502, 503, 504) then greatest(1, least(coalesce(p_retry_after_seconds, 0), 3600)) end;
  insert into webhooks.attempt (
    tenant_id, delivery_id, endpoint_id, number, at, duration_ms, outcome, status_code, error, response)
  values (v_tenant, p_delivery_id, v.endpoint_id, v.attempts + 1, v_at, v_ms,
          case when v_arrived then 'delivered' when v_code is null then
                 case when v_error ilike '%tim%out%' then 'timeout' else 'connect' end
               when v_code = 410 then 'gone' when v_code between 300 and 399 then 'redirect' else 'status' end,
          v_code, v_error, left(p_response, 16384));
  perform webhooks.count_attempt(v.endpoint_id, v_tenant, v_arrived, v_ms);
  if v_status = 'retrying' then
    perform webhooks.wait_again(p_delivery_id, v_tenant, 'retrying', 1, clock_timestamp() + make_interval(
      secs => greatest(v_delays[v.attempt] * (1 + 0.2 * random()), coalesce(v_pause, 0))));
    update webhooks.delivery d set last_status_code = v_code, last_error = v_error, attempted_at = v_at
    where d.delivery_id = p_delivery_id;
  else
    perform webhooks.end_delivery(p_delivery_id, v_tenant, v_status, 1, v_code, v_error, v_at);
  end if;
  if v_pause is not null then
    insert into webhooks.pace as c (endpoint_id, not_before, slowed)
    values (v.endpoint_id, clock_timestamp() + make_interval(secs => v_pause), 1)
    on conflict (endpoint_id) do update set
      not_before = greatest(c.not_before, excluded.not_before), slowed = c.slowed + 1;
  end if;
  if v_code = 410 then
    update webhooks.endpoint e
    set active = false, disabled_at = now(), disabled_reason = 'The endpoint answered 410 Gone.', version = version + 1,
        updated_at = now()
    where e.endpoint_id = v.endpoint_id and e.active;
    if found then
      perform raw.append(v_tenant, jsonb_build_array(jsonb_build_object(
        'kind', 'webhook.endpoint_disabled', 'subject', 'webhook:' || v.endpoint_id, 'data', jsonb_build_object(
          'webhook_id', v.endpoint_id, 'name', v.name, 'reason', 'The endpoint answered 410 Gone.'))), 'sql');
      perform pg_notify('mainstem_live', jsonb_build_object(
        'tenant', v_tenant, 'type', 'webhook_status_changed', 'data', jsonb_build_object(
          'webhook_id', v.endpoint_id, 'name', v.name, 'reason', 'The endpoint answered 410 Gone.', 'health', 'disabled'))::text);
      perform pg_notify('mainstem_webhooks', v.endpoint_id::text);
    end if;
  end if;
  return v_status;
end $$;
comment on function api.finish_delivery(bigint, uuid, integer, integer, text, text, integer) is
  'Says what came of a claimed delivery (status 0: no answer): delivered, retrying or failed; null when the claim was lost.';
