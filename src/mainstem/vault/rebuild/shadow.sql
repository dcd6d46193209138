-- What a table is made of, as statements that make another one like it; with search_path = pg_catalog.

-- name: describe
-- Statements, in order, that make table $1 (schema.table) anew in schema $2, under the same names: columns, keys,
-- indexes, comment, row-level security, policies, triggers; without rows, partitions and grants.
with source as (
  select c.*, c.oid::regclass::text as live, format('%I.%I', $2::text, c.relname) as made
  from pg_class c where c.oid = $1::regclass
)
select statement
from (
  select 1 as step, '' as name,
         format('create table %s (like %s including all excluding indexes)', s.made, s.live)
           || coalesce(' partition by ' || pg_get_partkeydef(s.oid), '')
           || coalesce(' with (' || array_to_string(s.reloptions, ', ') || ')', '') as statement
  from source s
  union all
  select 2, k.conname, format('alter table %s add constraint %I %s', s.made, k.conname, pg_get_constraintdef(k.oid))
  from source s join pg_constraint k on k.conrelid = s.oid and k.contype in ('p', 'u', 'x')
  union all
  select 3, x.relname,
         replace(replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ' || s.live || ' ', ' ON ' || s.made || ' '),
                 ' ON ' || s.live || ' ', ' ON ' || s.made || ' ')
  from source s join pg_index i on i.indrelid = s.oid join pg_class x on x.oid = i.indexrelid
  where not exists (select from pg_constraint k where k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x'))
  union all
  select 4, '', format('comment on table %s is %L', s.made, obj_description(s.oid, 'pg_class'))
  from source s where obj_description(s.oid, 'pg_class') is not null
  union all
  select 5, '', format('alter table %s owner to %I', s.made, pg_get_userbyid(s.relowner))
  from source s where pg_get_userbyid(s.relowner) <> current_user
  union all
  select 6, '', format('alter table %s enable row level security', s.made) from source s where s.relrowsecurity
  union all
  select 7, '', format('alter table %s force row level security', s.made) from source s where s.relforcerowsecurity
  union all
  select 8, p.polname,
         format('create policy %I on %s as %s for %s to %s', p.polname, s.made,
                case when p.polpermissive then 'permissive' else 'restrictive' end,
                case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update'
                              when 'd' then 'delete' else 'all' end,
                (select string_agg(case r.oid when 0 then 'public' else quote_ident(pg_get_userbyid(r.oid)) end, ', ')
                 from unnest(p.polroles) r (oid)))
           || coalesce(' using (' || pg_get_expr(p.polqual, p.polrelid) || ')', '')
           || coalesce(' with check (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')', '')
  from source s join pg_policy p on p.polrelid = s.oid
  union all
  select 9, t.tgname, replace(pg_get_triggerdef(t.oid), ' ON ' || s.live || ' ', ' ON ' || s.made || ' ')
  from source s join pg_trigger t on t.tgrelid = s.oid and not t.tgisinternal
) part
order by step, name

-- name: grants
-- Statements, in order, that grant on table $1's likeness in schema $2 what is granted on the table.
select format('grant %s%s on %I.%I to %s%s', a.privilege_type, coalesce(' (' || quote_ident(a.attname) || ')', ''),
              $2::text, a.relname,
              case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end,
              case when a.is_grantable then ' with grant option' else '' end) as statement
from (
  select c.relname, null::name as attname, g.*
  from pg_class c
  cross join lateral aclexplode(c.relacl) with ordinality g (grantor, grantee, privilege_type, is_grantable, n)
  where c.oid = $1::regclass and g.grantee <> c.relowner
  union all
  select c.relname, t.attname, g.*
  from pg_class c
  join pg_attribute t on t.attrelid = c.oid and t.attnum > 0 and not t.attisdropped
  cross join lateral aclexplode(t.attacl) with ordinality g (grantor, grantee, privilege_type, is_grantable, n)
  where c.oid = $1::regclass
) a
order by a.attname nulls first, a.n

-- name: partitions
-- Partitions of table $1 with the statement that makes each anew in schema $2, beside its parent there.
select c.oid::regclass::text as live, c.relname as name,
       format('create table %1$I.%2$I partition of %1$I.%3$I %4$s', $2::text, c.relname, p.relname,
              pg_get_expr(c.relpartbound, c.oid))
         || coalesce(' with (' || array_to_string(c.reloptions, ', ') || ')', '')
         || case when c.relrowsecurity
                 then format('; alter table %I.%I enable row level security', $2::text, c.relname) else '' end
         || case when c.relforcerowsecurity
                 then format('; alter table %I.%I force row level security', $2::text, c.relname) else '' end
         as statement
from pg_inherits i
join pg_class c on c.oid = i.inhrelid
join pg_class p on p.oid = i.inhparent
where i.inhparent = $1::regclass
order by c.relname

-- name: columns
-- Columns of table $1 in order.
select attname from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped order by attnum

-- name: key
-- Columns of the primary key of table $1, in order; none without one.
select a.attname
from pg_index i
cross join lateral unnest(i.indkey::int2[]) with ordinality k (attnum, n)
join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
where i.indrelid = $1::regclass and i.indisprimary
order by k.n

-- name: schemas
-- Schemas that a rebuild or a swap made, of name $1.
select n.nspname as name, obj_description(n.oid, 'pg_namespace') as comment
from pg_namespace n
where n.nspname like replace($1::text, '_', '\_') || '\_%'
order by n.nspname

-- name: revision
-- What the tables follow: the migrations and the model of the user.
select (select version_num from public.schema_version) || ' ' || (select version from vault.model_state)

-- name: views
-- Views that read tables $1 by themselves, with what it takes to bind them anew.
select distinct c.oid::regclass::text as name,
       format('create or replace view %s%s as %s', c.oid::regclass,
              coalesce(' with (' || array_to_string(c.reloptions, ', ') || ')', ''), pg_get_viewdef(c.oid)) as statement
from pg_depend d
join pg_rewrite r on r.oid = d.objid and d.classid = 'pg_rewrite'::regclass
join pg_class c on c.oid = r.ev_class and c.relkind = 'v'
where d.refclassid = 'pg_class'::regclass and d.refobjid = any ($1::regclass[]::oid[])
order by 1

-- name: bound
-- What holds on to tables $1 themselves and can't be bound anew.
select distinct pg_describe_object(d.classid, d.objid, 0) as object
from pg_depend d
left join pg_rewrite r on d.classid = 'pg_rewrite'::regclass and r.oid = d.objid
left join pg_class c on c.oid = r.ev_class
left join pg_constraint k on d.classid = 'pg_constraint'::regclass and k.oid = d.objid
where d.refclassid = 'pg_class'::regclass and d.refobjid = any ($1::regclass[]::oid[])
  and (c.relkind = 'm' or d.classid = 'pg_proc'::regclass
       or (k.contype = 'f' and k.conrelid <> all ($1::regclass[]::oid[])))
order by 1
