-- Mails that wait for the mail server.

-- name: put
-- Queues one mail for each receiver; of a text with a secret only the sealed form.
insert into platform.mail (tenant_id, ref, receiver, subject, body, message_id, next_attempt_at, created_at, sealed)
select $1, $2, r.receiver, $5, $6, r.message_id, $7, $7, r.sealed
from unnest($3::text[], $4::text[], $8::bytea[]) with ordinality as r (receiver, message_id, sealed, n) order by r.n

-- name: claim
-- Begins the next attempt at mails that are due at $1, at most $2, and leases them until $3.
update platform.mail m
set leased_until = $3, attempts = m.attempts + 1
from (select mail_id from platform.mail
      where status = 'pending' and next_attempt_at <= $1 and leased_until <= $1
      order by next_attempt_at, mail_id limit $2 for update skip locked) due
where m.mail_id = due.mail_id
returning m.mail_id, m.tenant_id, m.ref, m.receiver, m.subject, m.body, m.sealed, m.message_id, m.attempts, m.created_at

-- name: finish
-- Writes what became of an attempt; nothing where another attempt has ended it meanwhile.
update platform.mail
set status = $2, last_error = $3, leased_until = '-infinity', next_attempt_at = coalesce($4, next_attempt_at),
    finished_at = case when $2 = 'pending' then null else $5::timestamptz end,
    sealed = case when $2 = 'pending' then sealed end
where mail_id = $1 and status = 'pending'
returning mail_id

-- name: prune
-- Deletes mails that were done with before $1, a thousand at a time; returns how many.
with old as (select mail_id from platform.mail where finished_at < $1 order by finished_at limit 1000),
gone as (delete from platform.mail m using old o where m.mail_id = o.mail_id returning 1)
select count(*) from gone
