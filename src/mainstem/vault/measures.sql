-- What alert rules ask the ledger.

-- name: lag
-- Seconds that the oldest batch waits to be loaded; ids follow the order of commits closely enough to find it.
select extract(epoch from greatest($1::timestamptz - b.committed_at, '0'))::double precision as seconds
from raw.batch b where b.loaded_at is null order by b.batch_id limit 1
