-- name: key_is_live
-- Whether a key of this hash may be used.
select exists (select from platform.api_key where key_hash = $1 and revoked_at is null)

-- name: list_rejects
-- The latest rejects of a tenant, newest first; of one code where one is given.
select rejected_id, stage, code, reason, field, kind, origin, raw_id, payload, rejected_at, replayed_at
from staging.rejected
where tenant_id = $1 and ($2::text is null or code = $2) and ($3 or replayed_at is null)
order by rejected_id desc
limit $4

-- name: replayable
-- Ids of a tenant's load-stage rejects that were not replayed; of one code where one is given.
select rejected_id
from staging.rejected
where tenant_id = $1 and stage = 'load' and replayed_at is null and ($2::text is null or code = $2)
order by rejected_id

-- name: own_rejects
-- Those of the rejects given that are the tenant's.
select rejected_id from staging.rejected where tenant_id = $1 and rejected_id = any ($2::bigint[]) order by rejected_id

-- name: waiting_events
-- Events of a tenant that are committed and not loaded.
select coalesce(sum(events), 0) from raw.batch where tenant_id = $1 and loaded_at is null
