-- Endpoints and their secrets, for the tenant of the transaction.

-- name: endpoints
-- Endpoints with their figures, in the order they were made; the null filters are left out.
select e.endpoint_id, e.uid, e.name, e.url, e.kinds, e.description, e.active, e.filter, e.header_names, e.timeout_ms,
       e.retry_policy, e.rate_limit, e.fifo, e.envelope, e.signature, e.disabled_reason, e.created_by, e.created_at,
       e.updated_at, s.public_key,
       (select max(x.expires_at) from webhooks.secret x where x.endpoint_id = e.endpoint_id and x.expires_at > now())
         as rotating_until,
       coalesce(c.deliveries, 0) as deliveries, coalesce(t.delivered, 0) as delivered, coalesce(t.failed, 0) as failed,
       coalesce(t.attempts, 0) as attempts, coalesce(t.ms_sum, 0) as ms_sum,
       coalesce(t.consecutive_failures, 0) as consecutive_failures, t.last_attempt_at, t.last_success_at,
       t.last_failure_at, coalesce(t.health, 'unknown') as health
from webhooks.endpoint e
left join webhooks.endpoint_created c on c.endpoint_id = e.endpoint_id
left join webhooks.endpoint_total t on t.endpoint_id = e.endpoint_id
left join webhooks.secret s on s.endpoint_id = e.endpoint_id and s.expires_at is null
where e.tenant_id = $1 and e.deleted_at is null
  and ($2::integer[] is null or e.endpoint_id = any ($2))
  and ($3::boolean is null or e.active = $3)
  and ($4::text is null or case when e.active then coalesce(t.health, 'unknown') else 'disabled' end = $4)
order by e.endpoint_id
limit $5 offset $6

-- name: count_endpoints
-- As many endpoints as `endpoints` finds on all pages.
select count(*)
from webhooks.endpoint e
left join webhooks.endpoint_total t on t.endpoint_id = e.endpoint_id
where e.tenant_id = $1 and e.deleted_at is null
  and ($2::boolean is null or e.active = $2)
  and ($3::text is null or case when e.active then coalesce(t.health, 'unknown') else 'disabled' end = $3)

-- name: lock_tenant
-- Holds off others who make endpoints of the tenant, so that its limit holds.
select pg_advisory_xact_lock(hashtext('mainstem.webhooks.endpoint'), $1)

-- name: lock
-- An endpoint, for a change; what only refers to it may be written meanwhile.
select e.endpoint_id, e.uid, e.name, e.url, e.description, e.kinds, e.filter, e.headers, e.header_names, e.signature,
       e.envelope, e.timeout_ms, e.rate_limit, e.retry_policy, e.fifo, e.active,
       coalesce((select t.health from webhooks.endpoint_total t where t.endpoint_id = e.endpoint_id), 'unknown') as health
from webhooks.endpoint e
where e.tenant_id = $1 and e.endpoint_id = $2 and e.deleted_at is null
for no key update

-- name: insert
-- Adds an endpoint with its counters; its id.
with made as (
  insert into webhooks.endpoint (
    tenant_id, uid, name, url, description, kinds, filter, headers, header_names, signature, envelope, timeout_ms,
    rate_limit, retry_policy, fifo, active, disabled_at, disabled_reason, created_by)
  values ($1, $2, $3, $4, $5, $6, $7::jsonb, $8, $9, $10, $11, $12, $13, $14::jsonb, $15, $16,
          case when not $16 then now() end, case when not $16 then $18::text end, $17)
  returning endpoint_id, tenant_id
), created as (
  insert into webhooks.endpoint_created (endpoint_id, tenant_id) select endpoint_id, tenant_id from made
), total as (
  insert into webhooks.endpoint_total (endpoint_id, tenant_id) select endpoint_id, tenant_id from made
)
select endpoint_id from made

-- name: update
-- Writes a changed endpoint.
update webhooks.endpoint
set name = $3, url = $4, description = $5, kinds = $6, filter = $7::jsonb, headers = $8, header_names = $9,
    envelope = $10, timeout_ms = $11, rate_limit = $12, retry_policy = $13::jsonb, fifo = $14,
    version = version + 1, updated_at = now()
where tenant_id = $1 and endpoint_id = $2

-- name: enable
update webhooks.endpoint
set active = true, disabled_at = null, disabled_reason = null, version = version + 1, updated_at = now()
where tenant_id = $1 and endpoint_id = $2

-- name: begin_anew
-- Forgets what an endpoint was held back for: the clock of its failure, and the pause that it had asked for.
with total as (
  update webhooks.endpoint_total set failing_since = null, warned = 0 where tenant_id = $1 and endpoint_id = $2
)
update webhooks.pace p set not_before = '-infinity', slowed = 0
from webhooks.endpoint e
where p.endpoint_id = $2 and e.endpoint_id = $2 and e.tenant_id = $1

-- name: disable
update webhooks.endpoint
set active = false, disabled_at = now(), disabled_reason = $3, version = version + 1, updated_at = now()
where tenant_id = $1 and endpoint_id = $2

-- name: delete
-- Takes an endpoint away with what it kept secret; upkeep removes its deliveries.
with gone as (
  update webhooks.endpoint
  set deleted_at = now(), headers = null, version = version + 1, updated_at = now()
  where tenant_id = $1 and endpoint_id = $2 and deleted_at is null
  returning endpoint_id
)
delete from webhooks.secret s using gone where s.endpoint_id = gone.endpoint_id

-- name: insert_secret
insert into webhooks.secret (endpoint_id, tenant_id, kind, key_id, box, public_key) values ($2, $1, $3, $4, $5, $6)

-- name: expire_secret
-- Lets the current secret sign for so long only.
update webhooks.secret set expires_at = now() + $3::interval
where tenant_id = $1 and endpoint_id = $2 and expires_at is null

-- name: prune_secrets
-- Deletes secrets that sign no more, those of another kind than $4, and those beyond the newest $3.
delete from webhooks.secret s
where s.tenant_id = $1 and s.endpoint_id = $2
  and (s.expires_at <= now() or s.kind <> $4 or s.secret_id not in (
    select n.secret_id from webhooks.secret n where n.endpoint_id = $2 order by n.secret_id desc limit $3))

-- name: sign_by
update webhooks.endpoint set signature = $3, version = version + 1, updated_at = now()
where tenant_id = $1 and endpoint_id = $2

-- name: tell
-- Tells all processes, when this commits, that an endpoint is not what it was.
select pg_notify('mainstem_webhooks', $1::integer::text)

-- name: count_to_rewrap
-- Of all tenants: secrets and sets of headers under another key than $1.
select (select count(*) from webhooks.secret where key_id <> $1::text)
     + (select count(*) from webhooks.endpoint
        where headers is not null and substring(headers from 1 for 12) <> convert_to($1, 'UTF8'))

-- name: secrets_to_rewrap
select s.secret_id, e.uid, s.kind, s.key_id, s.box
from webhooks.secret s join webhooks.endpoint e on e.endpoint_id = s.endpoint_id
where s.key_id <> $1
order by s.secret_id
limit $2
for update of s

-- name: rewrap_secret
update webhooks.secret set key_id = $2, box = $3 where secret_id = $1

-- name: headers_to_rewrap
select endpoint_id, uid, headers from webhooks.endpoint
where headers is not null and substring(headers from 1 for 12) <> convert_to($1, 'UTF8')
order by endpoint_id
limit $2
for update

-- name: rewrap_headers
update webhooks.endpoint set headers = $2 where endpoint_id = $1
