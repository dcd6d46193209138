-- What connectors keep sealed, under another key than the current one.

-- name: count
-- Of all tenants: bodies of deliveries and tokens under another key than $1.
select (select count(*) from connectors.delivery where body is not null and substring(body from 1 for 12) <> convert_to($1, 'UTF8'))
     + (select count(*) from connectors.token where sealed is not null and substring(sealed from 1 for 12) <> convert_to($1, 'UTF8'))

-- name: bodies
select delivery_id, body from connectors.delivery
where body is not null and substring(body from 1 for 12) <> convert_to($1, 'UTF8')
order by delivery_id limit $2 for update

-- name: rewrap_body
update connectors.delivery set body = $2 where delivery_id = $1

-- name: tokens
select tenant_id, connector, sealed from connectors.token
where sealed is not null and substring(sealed from 1 for 12) <> convert_to($1, 'UTF8')
order by tenant_id, connector limit $2 for update

-- name: rewrap_token
update connectors.token set sealed = $3 where tenant_id = $1 and connector = $2
