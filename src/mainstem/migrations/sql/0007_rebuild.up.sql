-- `mainstem vault check` and `mainstem vault rebuild`: what is verified, what left the ledger, and ways to new rows.

create table vault.verified (
  check_name  text not null,
  subject     text not null,
  verified_to timestamptz not null,
  checked_at  timestamptz not null default clock_timestamp(),
  primary key (check_name, subject)
);
comment on table vault.verified is 'How far each check of `mainstem vault check` has come: later rows are still to be verified.';
comment on column vault.verified.verified_to is 'Every row with a load_ts up to here passed.';
grant select, insert, update, delete on vault.verified to mainstem_worker;

create table raw.pruned_total (
  tenant_id  integer primary key,
  loaded     bigint not null default 0,
  duplicates bigint not null default 0,
  rejected   bigint not null default 0
);
comment on table raw.pruned_total is
  'Outcomes of the batches that retention has taken out of the ledger: with them, the ledger balances for ever.';
grant select, insert, update, delete on raw.pruned_total to mainstem_worker;
select platform.protect('raw.pruned_total');

-- Counts what retention deletes. Batches whose day is still there are none of its business: their loss shall show.
create function raw.count_pruned() returns trigger
language plpgsql security definer set search_path = raw, pg_temp
as $$
begin
  insert into pruned_total as p (tenant_id, loaded, duplicates, rejected)
  select g.tenant_id, sum(g.loaded), sum(g.duplicates), sum(g.rejected)
  from gone g
  where g.loaded_at is not null
    and g.received_to < (coalesce((select min(d.day) from days() d), current_date)::text || ' 00:00+00')::timestamptz
  group by g.tenant_id
  order by g.tenant_id
  on conflict (tenant_id) do update set
    loaded = p.loaded + excluded.loaded, duplicates = p.duplicates + excluded.duplicates,
    rejected = p.rejected + excluded.rejected;
  return null;
end $$;
comment on function raw.count_pruned() is 'Adds up the outcomes of pruned batches in raw.pruned_total.';
create trigger batch_pruned after delete on raw.batch referencing old table as gone
  for each statement execute function raw.count_pruned();
revoke execute on function raw.count_pruned() from public;

-- what was pruned before this table was there
insert into raw.pruned_total (tenant_id, loaded, duplicates, rejected)
select p.tenant_id, p.loaded - coalesce(b.loaded, 0), p.duplicates - coalesce(b.duplicates, 0),
       p.rejected - coalesce(b.rejected, 0)
from business.pipeline_total p
left join (
  select tenant_id, sum(loaded) as loaded, sum(duplicates) as duplicates, sum(rejected) as rejected
  from raw.batch where loaded_at is not null group by tenant_id) b using (tenant_id)
where (p.loaded, p.duplicates, p.rejected)
  is distinct from (coalesce(b.loaded, 0), coalesce(b.duplicates, 0), coalesce(b.rejected, 0));

-- Loads in their order, for the ledger's checks and the replay.
create index batch_load_idx on raw.batch (load_ts, batch_id) where load_ts is not null;

-- Rows come in the order of their load time, so a block range index of a few pages finds the new ones.
create index hub_visitor_load_idx on vault.hub_visitor using brin (load_ts) with (autosummarize = on, pages_per_range = 32);
create index hub_session_load_idx on vault.hub_session using brin (load_ts) with (autosummarize = on, pages_per_range = 32);
create index hub_page_load_idx on vault.hub_page using brin (load_ts) with (autosummarize = on, pages_per_range = 32);
create index hub_campaign_load_idx on vault.hub_campaign using brin (load_ts) with (autosummarize = on, pages_per_range = 32);
create index lnk_session_visitor_load_idx on vault.lnk_session_visitor
  using brin (load_ts) with (autosummarize = on, pages_per_range = 32);
create index sat_page_load_idx on vault.sat_page using brin (load_ts) with (autosummarize = on, pages_per_range = 32);
create index sat_visitor_device_load_idx on vault.sat_visitor_device
  using brin (load_ts) with (autosummarize = on, pages_per_range = 32);
create index nhl_site_event_load_idx on vault.nhl_site_event
  using brin (load_ts) with (autosummarize = on, pages_per_range = 32);
create index nhl_event_load_idx on vault.nhl_event using brin (load_ts) with (autosummarize = on, pages_per_range = 32);
create index hub_customer_load_idx on vault.hub_customer
  using brin (load_ts) with (autosummarize = on, pages_per_range = 32);
create index lnk_customer_visitor_load_idx on vault.lnk_customer_visitor
  using brin (load_ts) with (autosummarize = on, pages_per_range = 32);
create index sat_customer_site_pii_load_idx on vault.sat_customer_site_pii
  using brin (load_ts) with (autosummarize = on, pages_per_range = 32);
create index sat_customer_pii_load_idx on vault.sat_customer_pii
  using brin (load_ts) with (autosummarize = on, pages_per_range = 32);
