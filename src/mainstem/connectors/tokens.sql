-- Tokens of sources, and sign-ins that are under way.

-- name: claim
-- Claims the tokens of a connector for $4, unless somebody has them; makes their row where there is none.
insert into connectors.token (tenant_id, connector, claim_id, leased_until) values ($1, $2, $3, now() + $4::interval)
on conflict (tenant_id, connector) do update set claim_id = $3, leased_until = now() + $4::interval
where token.leased_until <= now()
returning version

-- name: release
update connectors.token set claim_id = null, leased_until = '-infinity'
where tenant_id = $1 and connector = $2 and claim_id = $3

-- name: load
select sealed, renew_at, version from connectors.token where tenant_id = $1 and connector = $2

-- name: save
-- Keeps tokens, unless others have taken the place of those of version $4 while the claim $3 had run out.
update connectors.token set sealed = $5, renew_at = $6, version = version + 1, saved_at = now()
where tenant_id = $1 and connector = $2 and (claim_id = $3 or version = $4)
returning version

-- name: forget_old
delete from connectors.sign_in where tenant_id = $1 and connector = $2 and expires_at <= now()

-- name: begin
insert into connectors.sign_in (tenant_id, connector, state_sha256, verifier, redirect_uri, by, expires_at)
values ($1, $2, $3, $4, $5, $6, now() + $7::interval)
returning expires_at

-- name: take
-- Uses a state up.
delete from connectors.sign_in where tenant_id = $1 and connector = $2 and state_sha256 = $3
returning verifier, redirect_uri, by, expires_at > now() as holds
