delete from platform.mail where sealed is not null;
alter table platform.mail drop column sealed;
drop table platform.invitation, platform.account_link, platform.session;
-- without the person there is nobody left for whom it may act
delete from platform.api_key where user_id is not null;
alter table platform.api_key drop column user_id;
-- the release before knows neither: the weakest role that it has, kept out, and the hash of no password
update platform.users set role = 'viewer', disabled_at = coalesce(disabled_at, now()) where role = 'guest';
update platform.users
set password_hash = '$argon2id$v=19$m=65536,t=3,p=4$'
  || rtrim(encode(substr(sha256(convert_to(gen_random_uuid()::text, 'utf8')), 1, 16), 'base64'), '=') || '$'
  || rtrim(encode(sha256(convert_to(gen_random_uuid()::text, 'utf8')), 'base64'), '=')
where password_hash is null;
alter table platform.users
  drop constraint users_tenant_key,
  drop constraint users_role_check,
  add constraint users_role_check check (role in ('owner', 'member', 'viewer')),
  alter column password_hash set not null,
  drop column email_verified_at;
create index if not exists users_tenant_idx on platform.users (tenant_id, user_id);
