-- name: lock_owners
-- The owners of a tenant who may come in, locked until the transaction ends.
select user_id from platform.users
where tenant_id = $1 and role = 'owner' and disabled_at is null
order by user_id for no key update;

-- name: set_role
update platform.users set role = $3 where tenant_id = $1 and user_id = $2;
