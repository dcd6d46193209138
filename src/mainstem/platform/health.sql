-- name: contract_functions
-- Which of the given function signatures really exist, in the given order.
select signature
from unnest($1::text[]) with ordinality as wanted (signature, position)
where to_regprocedure(signature) is not null
order by position

-- name: is_migrated
-- Whether migrations ever ran here; the table can't be named in a query before it exists.
select to_regclass('public.schema_version') is not null

-- name: schema_version
-- The revision that the database stands at.
select version_num from public.schema_version
