-- name: is_repeat
-- Whether the event of this uid that passed the dedupe gate is one outside the batch. $1 tenant, $2 event uid, $3 batch.
select not exists (
  select from raw.batch b
  where b.batch_id = $3 and s.raw_id between b.batch_id and b.batch_id + b.events - 1)
from vault.event_seen s
where s.tenant_id = $1 and s.event_uid = $2;
