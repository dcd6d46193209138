-- Which product an item is.

-- name: all
select item_key, item, product, product_name, changed_by, changed_at from connectors.item
where tenant_id = $1 and connector = $2 and establishment = $3
order by item_key

-- name: put
insert into connectors.item (tenant_id, connector, establishment, item_key, item, product, product_name, changed_by)
select $1, $2, $3, g.item_key, g.item, g.product, g.product_name, $8
from unnest($4::text[], $5::text[], $6::text[], $7::text[]) as g (item_key, item, product, product_name)
on conflict (tenant_id, connector, establishment, item_key) do update
set item = excluded.item, product = excluded.product, product_name = excluded.product_name,
    changed_by = excluded.changed_by, changed_at = now()

-- name: keep_only
-- Deletes the items that are not among these; returns how many.
with gone as (
  delete from connectors.item
  where tenant_id = $1 and connector = $2 and establishment = $3 and not item_key = any ($4::text[])
  returning 1
)
select count(*) from gone

-- name: delete
delete from connectors.item where tenant_id = $1 and connector = $2 and establishment = $3 and item_key = $4
returning item_key

-- name: unmapped
-- Items of bookings that failed for them, with how many bookings they hold up.
select line ->> 'name' as item, count(*) as bookings
from connectors.booking b,
     jsonb_array_elements(case when jsonb_typeof(b.doc -> 'lines') = 'array' then b.doc -> 'lines' else '[]' end) as line
where b.tenant_id = $1 and b.connector = $2 and b.establishment = $3 and b.reason = 'UNMAPPED_ITEM'
group by 1 order by 2 desc, 1 limit $4
