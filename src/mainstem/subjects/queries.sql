-- What is known of a subject, and its end.

-- name: subject
-- When a subject of tenant $1 came and was erased.
select created_at, erased_at from pii.subject where tenant_id = $1 and subject_id = $2

-- name: identifier_counts
-- How many identifiers of each kind a subject has.
select kind, count(*)::integer as identifiers from pii.subject_identifier
where tenant_id = $1 and subject_id = $2 group by kind order by kind

-- name: lookups
select lookup from pii.subject_identifier where tenant_id = $1 and subject_id = $2

-- name: lock_subject
-- Makes erasures of one subject take turns.
select created_at, erased_at from pii.subject where tenant_id = $1 and subject_id = $2 for update

-- name: attributes
-- Sealed values of a subject (its key $2 in the vault) over time.
select load_ts, raw_id, rsrc, sealed from vault.sat_customer_site_pii where tenant_id = $1 and customer_hk = $2
union all
select load_ts, raw_id, rsrc, sealed from vault.sat_customer_pii where tenant_id = $1 and customer_hk = $2
union all
select load_ts, raw_id, rsrc, sealed from vault.sat_customer_click_pii where tenant_id = $1 and customer_hk = $2
union all
select load_ts, raw_id, rsrc, sealed from vault.sat_customer_booking_pii where tenant_id = $1 and customer_hk = $2
union all
select load_ts, raw_id, rsrc, sealed from vault.sat_customer_task_pii where tenant_id = $1 and customer_hk = $2
order by load_ts, raw_id

-- name: sealed
-- Every text that holds sealed values of a subject, in whatever feed it came.
select sealed::text as sealed from vault.sat_customer_site_pii where tenant_id = $1 and customer_hk = $2
union all
select sealed::text from vault.sat_customer_click_pii where tenant_id = $1 and customer_hk = $2
union all
select data::text from vault.nhl_event
where tenant_id = $1 and customer_hk = $2
  and customer_hk <> '\x0000000000000000000000000000000000000000000000000000000000000000'::bytea

-- name: custom_events
-- Events about a subject, in the order in which they came.
select event_uid, kind, occurred_at, received_at, rsrc as source, subject, data
from vault.nhl_event
where tenant_id = $1 and customer_hk = $2
  and customer_hk <> '\x0000000000000000000000000000000000000000000000000000000000000000'::bytea
order by received_at, event_uid

-- name: site_events
-- Site events of the visitors who said that they are the subject.
select f.event_uid, f.kind, f.occurred_at, f.received_at, f.rsrc as source, v.visitor_bk as visitor, f.session_bk as session,
       f.page_url, f.page_title, f.referrer_url, f.device, f.os, f.browser, f.ip, f.language, f.properties
from vault.nhl_site_event f
join vault.hub_visitor v on v.tenant_id = f.tenant_id and v.visitor_hk = f.visitor_hk
where f.tenant_id = $1
  and f.visitor_hk = any (array(
    select l.visitor_hk from vault.lnk_customer_visitor l where l.tenant_id = $1 and l.customer_hk = $2))
order by f.received_at, f.event_uid

-- name: clicks
-- Clicks of the visitors who said that they are the subject.
select f.event_uid, f.kind, f.occurred_at, f.received_at, f.rsrc as source, v.visitor_bk as visitor, f.tracking_id,
       f.session_id as session, f.target_url, f.referrer_url, f.device, f.os, f.browser, f.ip, f.country, f.city, f.language,
       f.metadata
from vault.nhl_click f
join vault.hub_visitor v on v.tenant_id = f.tenant_id and v.visitor_hk = f.visitor_hk
where f.tenant_id = $1
  and f.visitor_hk = any (array(
    select l.visitor_hk from vault.lnk_customer_visitor l where l.tenant_id = $1 and l.customer_hk = $2))
order by f.received_at, f.event_uid

-- name: delete_identifiers
with gone as (delete from pii.subject_identifier where tenant_id = $1 and subject_id = $2 returning 1)
select count(*)::integer from gone

-- name: delete_key
with gone as (delete from pii.subject_key where tenant_id = $1 and subject_id = $2 returning 1)
select count(*)::integer from gone

-- name: mark_erased
update pii.subject set erased_at = $3 where tenant_id = $1 and subject_id = $2

-- name: redact_rejects
-- Blanks the refused events of tenant $1 in which one of the lower-case texts $2 stands; how many.
with gone as (
  update staging.rejected r
  set payload = '(erased)',
      reason = case when exists (select from unnest($2::text[]) t where strpos(lower(r.reason), t) > 0)
                    then '(erased)' else r.reason end
  where r.tenant_id = $1
    and exists (
      select from unnest($2::text[]) t where strpos(lower(r.payload), t) > 0 or strpos(lower(r.reason), t) > 0)
  returning 1)
select count(*)::integer from gone

-- name: add_erasure
insert into pii.erasure (tenant_id, subject_id, erased_at, erased_by, ticket, counts) values ($1, $2, $3, $4, $5, $6::jsonb)

-- name: erasure
select erased_at, erased_by, ticket, counts from pii.erasure where tenant_id = $1 and subject_id = $2

-- name: erasures
select subject_id, erased_at, erased_by, ticket, counts from pii.erasure where tenant_id = $1
order by erased_at desc, subject_id
