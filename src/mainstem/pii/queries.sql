-- Subjects, their identifiers and their keys; see migration 0005 for the tables.

-- name: lookup_key
-- Wrapped key of the lookups of tenant $1, and whether the running transaction has made it.
select key_id, wrapped, staging.is_own(xmin) is true as is_own from pii.lookup_key where tenant_id = $1

-- name: add_lookup_key
-- Gives a tenant its lookup key; nothing when it has one, after waiting for whoever is just giving it one.
insert into pii.lookup_key (tenant_id, key_id, wrapped) values ($1, $2, $3) on conflict do nothing

-- name: known
-- The subjects, with their wrapped keys, of lookups: pairs of tenant $1 and lookup $2.
select i.tenant_id, i.lookup, i.subject_id, k.key_id, k.wrapped
from unnest($1::integer[], $2::bytea[]) as n (tenant_id, lookup)
join pii.subject_identifier i on i.tenant_id = n.tenant_id and i.lookup = n.lookup
join pii.subject_key k on k.tenant_id = i.tenant_id and k.subject_id = i.subject_id

-- name: add_subjects
-- New subjects with their wrapped keys: tenants $1, subjects $2, key ids $3, wrapped keys $4.
with added as (
  insert into pii.subject (tenant_id, subject_id)
  select n.tenant_id, n.subject_id from unnest($1::integer[], $2::uuid[]) as n (tenant_id, subject_id)
)
insert into pii.subject_key (tenant_id, subject_id, key_id, wrapped)
select n.tenant_id, n.subject_id, n.key_id, n.wrapped
from unnest($1::integer[], $2::uuid[], $3::text[], $4::bytea[]) as n (tenant_id, subject_id, key_id, wrapped)

-- name: add_identifiers
-- Lookups of subjects: tenants $1, lookups $2, subjects $3, kinds $4; how many are new. A lookup that somebody else has
-- just given to another subject, or whose subject is just being erased, is left out. In order, so that two never wait
-- for each other.
with live as (
  select k.tenant_id, k.subject_id
  from pii.subject_key k
  where (k.tenant_id, k.subject_id) in (select * from unnest($1::integer[], $3::uuid[]))
  order by k.tenant_id, k.subject_id
  for key share
),
added as (
  insert into pii.subject_identifier (tenant_id, lookup, subject_id, kind)
  select n.tenant_id, n.lookup, n.subject_id, n.kind
  from unnest($1::integer[], $2::bytea[], $3::uuid[], $4::text[]) as n (tenant_id, lookup, subject_id, kind)
  join live using (tenant_id, subject_id)
  order by n.tenant_id, n.lookup
  on conflict do nothing
  returning 1
)
select count(*) from added

-- name: keys
-- Wrapped keys of the subjects $2 of a tenant $1; an erased subject has none.
select subject_id, key_id, wrapped from pii.subject_key where tenant_id = $1 and subject_id = any ($2::uuid[])

-- name: find
-- The subject of each of the lookups $2 of a tenant $1.
select distinct i.subject_id, s.created_at
from pii.subject_identifier i
join pii.subject s on s.tenant_id = i.tenant_id and s.subject_id = i.subject_id
where i.tenant_id = $1 and i.lookup = any ($2::bytea[])
order by s.created_at, i.subject_id

-- name: not_current
-- How many wrapped keys are not under the key $1.
select (select count(*) from pii.subject_key where key_id <> $1) + (select count(*) from pii.lookup_key where key_id <> $1)

-- name: subject_keys_to_rewrap
-- Locks at most $2 wrapped keys of subjects that are not under the key $1.
select tenant_id, subject_id, key_id, wrapped from pii.subject_key
where key_id <> $1 order by tenant_id, subject_id limit $2 for update skip locked

-- name: rewrap_subject_keys
-- Tenants $1, subjects $2, wrapped keys $3, all under the key $4.
update pii.subject_key k set key_id = $4, wrapped = n.wrapped
from unnest($1::integer[], $2::uuid[], $3::bytea[]) as n (tenant_id, subject_id, wrapped)
where k.tenant_id = n.tenant_id and k.subject_id = n.subject_id

-- name: lookup_keys_to_rewrap
-- Locks the wrapped lookup keys that are not under the key $1.
select tenant_id, key_id, wrapped from pii.lookup_key where key_id <> $1 order by tenant_id for update

-- name: rewrap_lookup_key
update pii.lookup_key set key_id = $2, wrapped = $3 where tenant_id = $1
