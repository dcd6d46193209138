-- As load.sql, for visits that met no link.

-- name: missed
-- Visits per day and path.
insert into business.missed_day as m (tenant_id, day, host, path, is_bot, visits, last_at)
select n.tenant_id, n.day, n.host, n.path, n.is_bot, n.visits, n.last_at
from digest_missed n
order by 1, 2, 3, 4, 5
on conflict (tenant_id, day, host, path, is_bot) do update set
  visits = m.visits + excluded.visits, last_at = greatest(m.last_at, excluded.last_at);
