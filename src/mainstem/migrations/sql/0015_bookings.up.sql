-- Bookings and orders of connectors: their tables in the vault, as the engine makes them of `mainstem.vault.model`, and the
-- roll-up of bookings by site and day.

create table "vault"."sat_customer_booking_pii" (
  "tenant_id" int4 not null,
  "customer_hk" bytea not null,
  "fields" text not null,
  "load_ts" timestamptz not null,
  "raw_id" int8 not null,
  "hashdiff" bytea not null,
  "rsrc" text not null,
  "sealed" jsonb,
  primary key ("tenant_id", "customer_hk", "fields", "load_ts", "raw_id")
);
create index "sat_customer_booking_pii_load_idx" on "vault"."sat_customer_booking_pii" using brin ("load_ts") with (autosummarize = on, pages_per_range = 32);
comment on table "vault"."sat_customer_booking_pii" is 'Personal data in what connectors say over time, sealed: a history for each set of fields that is sent together.';
comment on column "vault"."sat_customer_booking_pii"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "vault"."sat_customer_booking_pii"."customer_hk" is 'Hash key of the customer; 32 zero bytes: none.';
comment on column "vault"."sat_customer_booking_pii"."fields" is 'Names of the personal fields that came together.';
comment on column "vault"."sat_customer_booking_pii"."load_ts" is 'Time of the load that brought the row; strictly increasing per lane.';
comment on column "vault"."sat_customer_booking_pii"."raw_id" is 'The raw event that brought the row: raw.event, while its day is kept.';
comment on column "vault"."sat_customer_booking_pii"."hashdiff" is 'Hash of the payload: a new row is stored when it differs from the last.';
comment on column "vault"."sat_customer_booking_pii"."rsrc" is 'Where it came from: the source of the event.';
comment on column "vault"."sat_customer_booking_pii"."sealed" is 'The values of these fields, sealed by the person''s own key.';

create table "vault"."hub_booking" (
  "tenant_id" int4 not null,
  "booking_hk" bytea not null,
  "connector" text not null,
  "site_id" text not null,
  "booking_id" text not null,
  "load_ts" timestamptz not null,
  "rsrc" text not null,
  primary key ("tenant_id", "booking_hk")
);
create index "hub_booking_1_idx" on "vault"."hub_booking" ("tenant_id", "booking_id");
create index "hub_booking_load_idx" on "vault"."hub_booking" using brin ("load_ts") with (autosummarize = on, pages_per_range = 32);
comment on table "vault"."hub_booking" is 'Bookings by connector, site and the id that the system has for them that they come from.';
comment on column "vault"."hub_booking"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "vault"."hub_booking"."booking_hk" is 'Hash key of the booking; 32 zero bytes: none.';
comment on column "vault"."hub_booking"."connector" is 'Name of the connector.';
comment on column "vault"."hub_booking"."site_id" is 'The site, in the words of the system that the booking comes from; empty: not told.';
comment on column "vault"."hub_booking"."booking_id" is 'Id of the booking in the system that it comes from.';
comment on column "vault"."hub_booking"."load_ts" is 'Time of the load that brought the row; strictly increasing per lane.';
comment on column "vault"."hub_booking"."rsrc" is 'Where it came from: the source of the event.';

create table "vault"."hub_booking_site" (
  "tenant_id" int4 not null,
  "booking_site_hk" bytea not null,
  "connector" text not null,
  "site_id" text not null,
  "load_ts" timestamptz not null,
  "rsrc" text not null,
  primary key ("tenant_id", "booking_site_hk")
);
create index "hub_booking_site_load_idx" on "vault"."hub_booking_site" using brin ("load_ts") with (autosummarize = on, pages_per_range = 32);
comment on table "vault"."hub_booking_site" is 'Sites of bookings by connector and the id that the system has for them that the bookings come from.';
comment on column "vault"."hub_booking_site"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "vault"."hub_booking_site"."booking_site_hk" is 'Hash key of the site of a booking; 32 zero bytes: none.';
comment on column "vault"."hub_booking_site"."connector" is 'Name of the connector.';
comment on column "vault"."hub_booking_site"."site_id" is 'The site, in the words of the system that the booking comes from; empty: not told.';
comment on column "vault"."hub_booking_site"."load_ts" is 'Time of the load that brought the row; strictly increasing per lane.';
comment on column "vault"."hub_booking_site"."rsrc" is 'Where it came from: the source of the event.';

create table "vault"."hub_calendar_day" (
  "tenant_id" int4 not null,
  "calendar_day_hk" bytea not null,
  "day" date not null,
  "load_ts" timestamptz not null,
  "rsrc" text not null,
  primary key ("tenant_id", "calendar_day_hk")
);
create index "hub_calendar_day_load_idx" on "vault"."hub_calendar_day" using brin ("load_ts") with (autosummarize = on, pages_per_range = 32);
comment on table "vault"."hub_calendar_day" is 'Days on which bookings take place, in the zone of their site.';
comment on column "vault"."hub_calendar_day"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "vault"."hub_calendar_day"."calendar_day_hk" is 'Hash key of the day; 32 zero bytes: none.';
comment on column "vault"."hub_calendar_day"."day" is 'Day on which something takes place, in the zone of its site.';
comment on column "vault"."hub_calendar_day"."load_ts" is 'Time of the load that brought the row; strictly increasing per lane.';
comment on column "vault"."hub_calendar_day"."rsrc" is 'Where it came from: the source of the event.';

create table "vault"."hub_pos_order" (
  "tenant_id" int4 not null,
  "pos_order_hk" bytea not null,
  "connector" text not null,
  "establishment" text not null,
  "local_id" text not null,
  "load_ts" timestamptz not null,
  "rsrc" text not null,
  primary key ("tenant_id", "pos_order_hk")
);
create index "hub_pos_order_1_idx" on "vault"."hub_pos_order" ("tenant_id", "local_id");
create index "hub_pos_order_load_idx" on "vault"."hub_pos_order" using brin ("load_ts") with (autosummarize = on, pages_per_range = 32);
comment on table "vault"."hub_pos_order" is 'Orders that connectors make, by connector, establishment and their name in the point of sale.';
comment on column "vault"."hub_pos_order"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "vault"."hub_pos_order"."pos_order_hk" is 'Hash key of the order; 32 zero bytes: none.';
comment on column "vault"."hub_pos_order"."connector" is 'Name of the connector.';
comment on column "vault"."hub_pos_order"."establishment" is 'Where the order goes: the establishment in the system that takes it.';
comment on column "vault"."hub_pos_order"."local_id" is 'Name of the order in the system that takes it.';
comment on column "vault"."hub_pos_order"."load_ts" is 'Time of the load that brought the row; strictly increasing per lane.';
comment on column "vault"."hub_pos_order"."rsrc" is 'Where it came from: the source of the event.';

create table "vault"."lnk_booking_schedule" (
  "tenant_id" int4 not null,
  "booking_hk" bytea not null,
  "booking_site_hk" bytea not null,
  "calendar_day_hk" bytea not null,
  "load_ts" timestamptz not null,
  "rsrc" text not null,
  primary key ("tenant_id", "booking_hk", "booking_site_hk", "calendar_day_hk")
);
create index "lnk_booking_schedule_1_idx" on "vault"."lnk_booking_schedule" ("tenant_id", "calendar_day_hk", "booking_site_hk", "booking_hk");
create index "lnk_booking_schedule_load_idx" on "vault"."lnk_booking_schedule" using brin ("load_ts") with (autosummarize = on, pages_per_range = 32);
comment on table "vault"."lnk_booking_schedule" is 'On which days, at which site bookings were to take place.';
comment on column "vault"."lnk_booking_schedule"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "vault"."lnk_booking_schedule"."booking_hk" is 'Hash key of the booking; 32 zero bytes: none.';
comment on column "vault"."lnk_booking_schedule"."booking_site_hk" is 'Hash key of the site of a booking; 32 zero bytes: none.';
comment on column "vault"."lnk_booking_schedule"."calendar_day_hk" is 'Hash key of the day; 32 zero bytes: none.';
comment on column "vault"."lnk_booking_schedule"."load_ts" is 'Time of the load that brought the row; strictly increasing per lane.';
comment on column "vault"."lnk_booking_schedule"."rsrc" is 'Where it came from: the source of the event.';

create table "vault"."lnk_booking_pos_order" (
  "tenant_id" int4 not null,
  "booking_hk" bytea not null,
  "pos_order_hk" bytea not null,
  "load_ts" timestamptz not null,
  "rsrc" text not null,
  primary key ("tenant_id", "booking_hk", "pos_order_hk")
);
create index "lnk_booking_pos_order_1_idx" on "vault"."lnk_booking_pos_order" ("tenant_id", "pos_order_hk", "booking_hk");
create index "lnk_booking_pos_order_load_idx" on "vault"."lnk_booking_pos_order" using brin ("load_ts") with (autosummarize = on, pages_per_range = 32);
comment on table "vault"."lnk_booking_pos_order" is 'Which orders were made of which bookings.';
comment on column "vault"."lnk_booking_pos_order"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "vault"."lnk_booking_pos_order"."booking_hk" is 'Hash key of the booking; 32 zero bytes: none.';
comment on column "vault"."lnk_booking_pos_order"."pos_order_hk" is 'Hash key of the order; 32 zero bytes: none.';
comment on column "vault"."lnk_booking_pos_order"."load_ts" is 'Time of the load that brought the row; strictly increasing per lane.';
comment on column "vault"."lnk_booking_pos_order"."rsrc" is 'Where it came from: the source of the event.';

create table "vault"."sat_booking" (
  "tenant_id" int4 not null,
  "booking_hk" bytea not null,
  "load_ts" timestamptz not null,
  "raw_id" int8 not null,
  "hashdiff" bytea not null,
  "rsrc" text not null,
  "version" int8 not null,
  "booking_name" text,
  "takes_place_on" date,
  "status" text,
  "guests" int4,
  "total" numeric,
  "cancelled" bool,
  "establishment" text,
  primary key ("tenant_id", "booking_hk", "load_ts", "raw_id")
);
create index "sat_booking_load_idx" on "vault"."sat_booking" using brin ("load_ts") with (autosummarize = on, pages_per_range = 32);
comment on table "vault"."sat_booking" is 'What was said of a booking over time, whichever reading of it came first.';
comment on column "vault"."sat_booking"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "vault"."sat_booking"."booking_hk" is 'Hash key of the booking; 32 zero bytes: none.';
comment on column "vault"."sat_booking"."load_ts" is 'Time of the load that brought the row; strictly increasing per lane.';
comment on column "vault"."sat_booking"."raw_id" is 'The raw event that brought the row: raw.event, while its day is kept.';
comment on column "vault"."sat_booking"."hashdiff" is 'Hash of the payload: a new row is stored when it differs from the last.';
comment on column "vault"."sat_booking"."rsrc" is 'Where it came from: the source of the event.';
comment on column "vault"."sat_booking"."version" is 'Number of the reading of the booking: the greatest is the newest, in whatever order they came; 0: not told.';
comment on column "vault"."sat_booking"."booking_name" is 'Name of the booking.';
comment on column "vault"."sat_booking"."takes_place_on" is 'Day on which the booking takes place, in the zone of its site; null: not set.';
comment on column "vault"."sat_booking"."status" is 'Where the booking stands, in the words of the system that it comes from.';
comment on column "vault"."sat_booking"."guests" is 'How many guests are expected.';
comment on column "vault"."sat_booking"."total" is 'Total, as the system says that the booking comes from.';
comment on column "vault"."sat_booking"."cancelled" is 'Whether the booking was cancelled or deleted.';
comment on column "vault"."sat_booking"."establishment" is 'Where the order goes: the establishment in the system that takes it.';

create table "vault"."msat_booking_line" (
  "tenant_id" int4 not null,
  "booking_hk" bytea not null,
  "load_ts" timestamptz not null,
  "raw_id" int8 not null,
  "line_id" text not null,
  "hashdiff" bytea not null,
  "rsrc" text not null,
  "version" int8 not null,
  "line_name" text,
  "quantity" numeric,
  "unit_price" numeric,
  primary key ("tenant_id", "booking_hk", "load_ts", "raw_id", "line_id")
);
create index "msat_booking_line_load_idx" on "vault"."msat_booking_line" using brin ("load_ts") with (autosummarize = on, pages_per_range = 32);
comment on table "vault"."msat_booking_line" is 'Lines of a booking over time: one set for each reading that told them.';
comment on column "vault"."msat_booking_line"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "vault"."msat_booking_line"."booking_hk" is 'Hash key of the booking; 32 zero bytes: none.';
comment on column "vault"."msat_booking_line"."load_ts" is 'Time of the load that brought the row; strictly increasing per lane.';
comment on column "vault"."msat_booking_line"."raw_id" is 'The raw event that brought the row: raw.event, while its day is kept.';
comment on column "vault"."msat_booking_line"."line_id" is 'Tells the lines of a booking apart; empty: the one line that says that there are none.';
comment on column "vault"."msat_booking_line"."hashdiff" is 'Hash of the payload: a new row is stored when it differs from the last.';
comment on column "vault"."msat_booking_line"."rsrc" is 'Where it came from: the source of the event.';
comment on column "vault"."msat_booking_line"."version" is 'Number of the reading of the booking: the greatest is the newest, in whatever order they came; 0: not told.';
comment on column "vault"."msat_booking_line"."line_name" is 'Name of the item, in the words of the system that the booking comes from.';
comment on column "vault"."msat_booking_line"."quantity" is 'How many of it.';
comment on column "vault"."msat_booking_line"."unit_price" is 'Price of one; null: not told.';

create table "vault"."esat_booking_takes_place" (
  "tenant_id" int4 not null,
  "booking_hk" bytea not null,
  "booking_site_hk" bytea not null,
  "calendar_day_hk" bytea not null,
  "starts_at" timestamptz not null,
  "ends_at" timestamptz not null,
  "effective_from" timestamptz not null,
  "version" int8 not null,
  "load_ts" timestamptz not null,
  "raw_id" int8 not null,
  "rsrc" text not null,
  primary key ("tenant_id", "booking_hk", "booking_site_hk", "calendar_day_hk", "version", "load_ts", "raw_id")
);
create index "esat_booking_takes_place_1_idx" on "vault"."esat_booking_takes_place" ("tenant_id", "booking_hk");
create index "esat_booking_takes_place_load_idx" on "vault"."esat_booking_takes_place" using brin ("load_ts") with (autosummarize = on, pages_per_range = 32);
comment on table "vault"."esat_booking_takes_place" is 'From when to when a booking was to take place on which day.';
comment on column "vault"."esat_booking_takes_place"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "vault"."esat_booking_takes_place"."booking_hk" is 'Hash key of the booking; 32 zero bytes: none.';
comment on column "vault"."esat_booking_takes_place"."booking_site_hk" is 'Hash key of the site of a booking; 32 zero bytes: none.';
comment on column "vault"."esat_booking_takes_place"."calendar_day_hk" is 'Hash key of the day; 32 zero bytes: none.';
comment on column "vault"."esat_booking_takes_place"."starts_at" is 'From when on it held.';
comment on column "vault"."esat_booking_takes_place"."ends_at" is 'Until when it held; 9999-12-31: it still does.';
comment on column "vault"."esat_booking_takes_place"."effective_from" is 'When it was said, by the clock of the hub.';
comment on column "vault"."esat_booking_takes_place"."version" is 'Number of the reading of the booking: the greatest is the newest, in whatever order they came; 0: not told.';
comment on column "vault"."esat_booking_takes_place"."load_ts" is 'Time of the load that brought the row; strictly increasing per lane.';
comment on column "vault"."esat_booking_takes_place"."raw_id" is 'The raw event that brought the row: raw.event, while its day is kept.';
comment on column "vault"."esat_booking_takes_place"."rsrc" is 'Where it came from: the source of the event.';

create table "vault"."rts_booking_presence" (
  "tenant_id" int4 not null,
  "booking_hk" bytea not null,
  "load_ts" timestamptz not null,
  "raw_id" int8 not null,
  "rsrc" text not null,
  "version" int8 not null,
  "present" bool not null,
  primary key ("tenant_id", "booking_hk", "load_ts", "raw_id")
);
create index "rts_booking_presence_load_idx" on "vault"."rts_booking_presence" using brin ("load_ts") with (autosummarize = on, pages_per_range = 32);
comment on table "vault"."rts_booking_presence" is 'When a booking was seen, and when it was found cancelled or deleted.';
comment on column "vault"."rts_booking_presence"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "vault"."rts_booking_presence"."booking_hk" is 'Hash key of the booking; 32 zero bytes: none.';
comment on column "vault"."rts_booking_presence"."load_ts" is 'Time of the load that brought the row; strictly increasing per lane.';
comment on column "vault"."rts_booking_presence"."raw_id" is 'The raw event that brought the row: raw.event, while its day is kept.';
comment on column "vault"."rts_booking_presence"."rsrc" is 'Where it came from: the source of the event.';
comment on column "vault"."rts_booking_presence"."version" is 'Number of the reading of the booking: the greatest is the newest, in whatever order they came; 0: not told.';
comment on column "vault"."rts_booking_presence"."present" is 'Whether the booking was there; false: cancelled or deleted.';

create table "vault"."sat_pos_order" (
  "tenant_id" int4 not null,
  "pos_order_hk" bytea not null,
  "load_ts" timestamptz not null,
  "raw_id" int8 not null,
  "hashdiff" bytea not null,
  "rsrc" text not null,
  "version" int8 not null,
  "order_state" text,
  "order_id" text,
  "order_hash" text,
  "total" numeric,
  "reason" text,
  primary key ("tenant_id", "pos_order_hk", "load_ts", "raw_id")
);
create index "sat_pos_order_load_idx" on "vault"."sat_pos_order" using brin ("load_ts") with (autosummarize = on, pages_per_range = 32);
comment on table "vault"."sat_pos_order" is 'What became of an order over time.';
comment on column "vault"."sat_pos_order"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "vault"."sat_pos_order"."pos_order_hk" is 'Hash key of the order; 32 zero bytes: none.';
comment on column "vault"."sat_pos_order"."load_ts" is 'Time of the load that brought the row; strictly increasing per lane.';
comment on column "vault"."sat_pos_order"."raw_id" is 'The raw event that brought the row: raw.event, while its day is kept.';
comment on column "vault"."sat_pos_order"."hashdiff" is 'Hash of the payload: a new row is stored when it differs from the last.';
comment on column "vault"."sat_pos_order"."rsrc" is 'Where it came from: the source of the event.';
comment on column "vault"."sat_pos_order"."version" is 'Number of the reading of the booking: the greatest is the newest, in whatever order they came; 0: not told.';
comment on column "vault"."sat_pos_order"."order_state" is 'What became of the order last: injected, failed, voided, unknown, …';
comment on column "vault"."sat_pos_order"."order_id" is 'Id of the order in the system that took it; null: it has none yet.';
comment on column "vault"."sat_pos_order"."order_hash" is 'Hash of all that makes a difference to the order.';
comment on column "vault"."sat_pos_order"."total" is 'Total, as the system says that the booking comes from.';
comment on column "vault"."sat_pos_order"."reason" is 'Why it is so.';

grant select, insert, update, delete on vault.sat_customer_booking_pii, vault.hub_booking, vault.hub_booking_site, vault.hub_calendar_day,
  vault.hub_pos_order, vault.lnk_booking_schedule, vault.lnk_booking_pos_order, vault.sat_booking,
  vault.msat_booking_line, vault.esat_booking_takes_place, vault.rts_booking_presence, vault.sat_pos_order
  to mainstem_worker;
grant select on vault.sat_customer_booking_pii, vault.hub_booking, vault.hub_booking_site, vault.hub_calendar_day,
  vault.hub_pos_order, vault.lnk_booking_schedule, vault.lnk_booking_pos_order, vault.sat_booking,
  vault.msat_booking_line, vault.esat_booking_takes_place, vault.rts_booking_presence, vault.sat_pos_order
  to mainstem_api;
select platform.protect(t) from unnest(array[
  'vault.sat_customer_booking_pii', 'vault.hub_booking', 'vault.hub_booking_site', 'vault.hub_calendar_day',
  'vault.hub_pos_order', 'vault.lnk_booking_schedule', 'vault.lnk_booking_pos_order', 'vault.sat_booking',
  'vault.msat_booking_line', 'vault.esat_booking_takes_place', 'vault.rts_booking_presence', 'vault.sat_pos_order']::regclass[]) t;

select vault.make_ghost(c.oid::regclass, t.tenant_id)
from pg_class c cross join platform.tenant t
where c.relnamespace = 'vault'::regnamespace and c.relname in (
  'sat_customer_booking_pii', 'hub_booking', 'hub_booking_site', 'hub_calendar_day', 'hub_pos_order', 'sat_booking',
  'msat_booking_line', 'sat_pos_order');

-- bookings by site and day

create table business.booking_day (
  tenant_id integer not null,
  connector text not null,
  site_id   text not null,
  day       date not null,
  status    text not null,
  bookings  bigint not null,
  guests    bigint not null,
  revenue   numeric(18, 2) not null,
  primary key (tenant_id, connector, site_id, day, status)
) with (fillfactor = 80);
create index booking_day_day_idx on business.booking_day (tenant_id, day);
-- there are none but within a load
create index booking_day_emptied_idx on business.booking_day (tenant_id) where bookings = 0;
comment on table business.booking_day is 'Bookings by site, day and status, as their newest reading has them; those without a day count nowhere.';
comment on column business.booking_day.tenant_id is 'The tenant that the row belongs to: platform.tenant.';
comment on column business.booking_day.connector is 'Name of the connector.';
comment on column business.booking_day.site_id is 'The site, in the words of the system that the bookings come from; empty: not told.';
comment on column business.booking_day.day is 'Day on which they take place, in the zone of the site.';
comment on column business.booking_day.status is
  'Where they stand, in the words of the system that they come from; CANCELLED: cancelled or deleted; empty: not told.';
comment on column business.booking_day.bookings is 'How many they are.';
comment on column business.booking_day.guests is 'How many guests they expect together; a booking that does not tell counts none.';
comment on column business.booking_day.revenue is 'Sum of their totals; a booking that does not tell counts none.';

create table business.booking_counted (
  tenant_id  integer not null,
  booking_hk bytea not null,
  version    bigint not null,
  day        date,
  status     text not null,
  guests     bigint not null,
  revenue    numeric(18, 2) not null,
  primary key (tenant_id, booking_hk)
) with (fillfactor = 80);
comment on table business.booking_counted is 'What business.booking_day counts of each booking: its newest reading.';
comment on column business.booking_counted.tenant_id is 'The tenant that the row belongs to: platform.tenant.';
comment on column business.booking_counted.booking_hk is 'Hash key of the booking.';
comment on column business.booking_counted.version is 'Number of the reading.';
comment on column business.booking_counted.day is 'Day on which it takes place; null: not set, so it counts nowhere.';
comment on column business.booking_counted.status is 'Status that it counts under.';
comment on column business.booking_counted.guests is 'Guests that it counts.';
comment on column business.booking_counted.revenue is 'Total that it counts.';

grant select, insert, update, delete on business.booking_day, business.booking_counted to mainstem_worker;
grant select on business.booking_day, business.booking_counted to mainstem_api;
select platform.protect(t) from unnest(array['business.booking_day', 'business.booking_counted']::regclass[]) t;

-- views for people, as the engine makes them

create or replace view "business"."booking" with (security_invoker = true) as
select h."tenant_id" as "tenant_id",
       h."connector" as "connector",
       h."site_id" as "site_id",
       h."booking_id" as "booking_id",
       h."load_ts" as "first_seen",
       s1."load_ts" as "last_changed",
       s1."version" as "version",
       s1."booking_name" as "booking_name",
       s1."takes_place_on" as "takes_place_on",
       s1."status" as "status",
       s1."guests" as "guests",
       s1."total" as "total",
       s1."cancelled" as "cancelled",
       s1."establishment" as "establishment"
from "vault"."hub_booking" h
left join lateral (
  select t.* from "vault"."sat_booking" t where t."tenant_id" = h."tenant_id" and t."booking_hk" = h."booking_hk"
  order by t."version" desc, t."load_ts" desc, t."raw_id" desc limit 1
) s1 on true
where h."booking_hk" <> '\x0000000000000000000000000000000000000000000000000000000000000000'::bytea;
comment on view "business"."booking" is 'Bookings by connector, site and the id that the system has for them that they come from. Current state.';
comment on column "business"."booking"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "business"."booking"."connector" is 'Name of the connector.';
comment on column "business"."booking"."site_id" is 'The site, in the words of the system that the booking comes from; empty: not told.';
comment on column "business"."booking"."booking_id" is 'Id of the booking in the system that it comes from.';
comment on column "business"."booking"."first_seen" is 'When the vault first heard of it: the time of the load.';
comment on column "business"."booking"."last_changed" is 'When the vault last learned something new about it; null: nothing but its key is known.';
comment on column "business"."booking"."version" is 'Number of the reading of the booking: the greatest is the newest, in whatever order they came; 0: not told.';
comment on column "business"."booking"."booking_name" is 'Name of the booking.';
comment on column "business"."booking"."takes_place_on" is 'Day on which the booking takes place, in the zone of its site; null: not set.';
comment on column "business"."booking"."status" is 'Where the booking stands, in the words of the system that it comes from.';
comment on column "business"."booking"."guests" is 'How many guests are expected.';
comment on column "business"."booking"."total" is 'Total, as the system says that the booking comes from.';
comment on column "business"."booking"."cancelled" is 'Whether the booking was cancelled or deleted.';
comment on column "business"."booking"."establishment" is 'Where the order goes: the establishment in the system that takes it.';
grant select on "business"."booking" to "mainstem_api", "mainstem_worker";

create or replace view "business"."booking_site" with (security_invoker = true) as
select h."tenant_id" as "tenant_id",
       h."connector" as "connector",
       h."site_id" as "site_id",
       h."load_ts" as "first_seen"
from "vault"."hub_booking_site" h
where h."booking_site_hk" <> '\x0000000000000000000000000000000000000000000000000000000000000000'::bytea;
comment on view "business"."booking_site" is 'Sites of bookings by connector and the id that the system has for them that the bookings come from.';
comment on column "business"."booking_site"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "business"."booking_site"."connector" is 'Name of the connector.';
comment on column "business"."booking_site"."site_id" is 'The site, in the words of the system that the booking comes from; empty: not told.';
comment on column "business"."booking_site"."first_seen" is 'When the vault first heard of it: the time of the load.';
grant select on "business"."booking_site" to "mainstem_api", "mainstem_worker";

create or replace view "business"."calendar_day" with (security_invoker = true) as
select h."tenant_id" as "tenant_id",
       h."day" as "day",
       h."load_ts" as "first_seen"
from "vault"."hub_calendar_day" h
where h."calendar_day_hk" <> '\x0000000000000000000000000000000000000000000000000000000000000000'::bytea;
comment on view "business"."calendar_day" is 'Days on which bookings take place, in the zone of their site.';
comment on column "business"."calendar_day"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "business"."calendar_day"."day" is 'Day on which something takes place, in the zone of its site.';
comment on column "business"."calendar_day"."first_seen" is 'When the vault first heard of it: the time of the load.';
grant select on "business"."calendar_day" to "mainstem_api", "mainstem_worker";

create or replace view "business"."pos_order" with (security_invoker = true) as
select h."tenant_id" as "tenant_id",
       h."connector" as "connector",
       h."establishment" as "establishment",
       h."local_id" as "local_id",
       h."load_ts" as "first_seen",
       s1."load_ts" as "last_changed",
       s1."version" as "version",
       s1."order_state" as "order_state",
       s1."order_id" as "order_id",
       s1."order_hash" as "order_hash",
       s1."total" as "total",
       s1."reason" as "reason"
from "vault"."hub_pos_order" h
left join lateral (
  select t.* from "vault"."sat_pos_order" t where t."tenant_id" = h."tenant_id" and t."pos_order_hk" = h."pos_order_hk"
  order by t."version" desc, t."load_ts" desc, t."raw_id" desc limit 1
) s1 on true
where h."pos_order_hk" <> '\x0000000000000000000000000000000000000000000000000000000000000000'::bytea;
comment on view "business"."pos_order" is 'Orders that connectors make, by connector, establishment and their name in the point of sale. Current state.';
comment on column "business"."pos_order"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "business"."pos_order"."connector" is 'Name of the connector.';
comment on column "business"."pos_order"."establishment" is 'Where the order goes: the establishment in the system that takes it.';
comment on column "business"."pos_order"."local_id" is 'Name of the order in the system that takes it.';
comment on column "business"."pos_order"."first_seen" is 'When the vault first heard of it: the time of the load.';
comment on column "business"."pos_order"."last_changed" is 'When the vault last learned something new about it; null: nothing but its key is known.';
comment on column "business"."pos_order"."version" is 'Number of the reading of the booking: the greatest is the newest, in whatever order they came; 0: not told.';
comment on column "business"."pos_order"."order_state" is 'What became of the order last: injected, failed, voided, unknown, …';
comment on column "business"."pos_order"."order_id" is 'Id of the order in the system that took it; null: it has none yet.';
comment on column "business"."pos_order"."order_hash" is 'Hash of all that makes a difference to the order.';
comment on column "business"."pos_order"."total" is 'Total, as the system says that the booking comes from.';
comment on column "business"."pos_order"."reason" is 'Why it is so.';
grant select on "business"."pos_order" to "mainstem_api", "mainstem_worker";

create or replace view "business"."booking_schedule" with (security_invoker = true) as
select h."tenant_id" as "tenant_id",
       k1."connector" as "connector",
       k1."site_id" as "site_id",
       k1."booking_id" as "booking_id",
       k2."connector" as "booking_site_connector",
       k2."site_id" as "booking_site_site_id",
       k3."day" as "day",
       h."load_ts" as "first_seen"
from "vault"."lnk_booking_schedule" h
join "vault"."hub_booking" k1 on k1."tenant_id" = h."tenant_id" and k1."booking_hk" = h."booking_hk"
join "vault"."hub_booking_site" k2 on k2."tenant_id" = h."tenant_id" and k2."booking_site_hk" = h."booking_site_hk"
join "vault"."hub_calendar_day" k3 on k3."tenant_id" = h."tenant_id" and k3."calendar_day_hk" = h."calendar_day_hk";
comment on view "business"."booking_schedule" is 'On which days, at which site bookings were to take place.';
comment on column "business"."booking_schedule"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "business"."booking_schedule"."connector" is 'Name of the connector.';
comment on column "business"."booking_schedule"."site_id" is 'The site, in the words of the system that the booking comes from; empty: not told.';
comment on column "business"."booking_schedule"."booking_id" is 'Id of the booking in the system that it comes from.';
comment on column "business"."booking_schedule"."booking_site_connector" is 'Name of the connector.';
comment on column "business"."booking_schedule"."booking_site_site_id" is 'The site, in the words of the system that the booking comes from; empty: not told.';
comment on column "business"."booking_schedule"."day" is 'Day on which something takes place, in the zone of its site.';
comment on column "business"."booking_schedule"."first_seen" is 'When the vault first heard of it: the time of the load.';
grant select on "business"."booking_schedule" to "mainstem_api", "mainstem_worker";

create or replace view "business"."booking_pos_order" with (security_invoker = true) as
select h."tenant_id" as "tenant_id",
       k1."connector" as "connector",
       k1."site_id" as "site_id",
       k1."booking_id" as "booking_id",
       k2."connector" as "pos_order_connector",
       k2."establishment" as "establishment",
       k2."local_id" as "local_id",
       h."load_ts" as "first_seen"
from "vault"."lnk_booking_pos_order" h
join "vault"."hub_booking" k1 on k1."tenant_id" = h."tenant_id" and k1."booking_hk" = h."booking_hk"
join "vault"."hub_pos_order" k2 on k2."tenant_id" = h."tenant_id" and k2."pos_order_hk" = h."pos_order_hk";
comment on view "business"."booking_pos_order" is 'Which orders were made of which bookings.';
comment on column "business"."booking_pos_order"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "business"."booking_pos_order"."connector" is 'Name of the connector.';
comment on column "business"."booking_pos_order"."site_id" is 'The site, in the words of the system that the booking comes from; empty: not told.';
comment on column "business"."booking_pos_order"."booking_id" is 'Id of the booking in the system that it comes from.';
comment on column "business"."booking_pos_order"."pos_order_connector" is 'Name of the connector.';
comment on column "business"."booking_pos_order"."establishment" is 'Where the order goes: the establishment in the system that takes it.';
comment on column "business"."booking_pos_order"."local_id" is 'Name of the order in the system that takes it.';
comment on column "business"."booking_pos_order"."first_seen" is 'When the vault first heard of it: the time of the load.';
grant select on "business"."booking_pos_order" to "mainstem_api", "mainstem_worker";

create or replace view "business"."booking_history" with (security_invoker = true) as
select h."tenant_id" as "tenant_id",
       h."connector" as "connector",
       h."site_id" as "site_id",
       h."booking_id" as "booking_id",
       s."load_ts" as "valid_from",
       s.valid_to as "valid_to",
       s."rsrc" as "source",
       s."version" as "version",
       s."booking_name" as "booking_name",
       s."takes_place_on" as "takes_place_on",
       s."status" as "status",
       s."guests" as "guests",
       s."total" as "total",
       s."cancelled" as "cancelled",
       s."establishment" as "establishment"
from "vault"."hub_booking" h
cross join lateral (
  select t.*, case when min(t."load_ts") over (order by t."version", t."load_ts", t."raw_id" rows between 1 following and unbounded following) is not null then greatest(min(t."load_ts") over (order by t."version", t."load_ts", t."raw_id" rows between 1 following and unbounded following), t."load_ts") end as valid_to
  from "vault"."sat_booking" t where t."tenant_id" = h."tenant_id" and t."booking_hk" = h."booking_hk"
) s
where h."booking_hk" <> '\x0000000000000000000000000000000000000000000000000000000000000000'::bytea;
comment on view "business"."booking_history" is 'What was said of a booking over time, whichever reading of it came first. One row per version.';
comment on column "business"."booking_history"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "business"."booking_history"."connector" is 'Name of the connector.';
comment on column "business"."booking_history"."site_id" is 'The site, in the words of the system that the booking comes from; empty: not told.';
comment on column "business"."booking_history"."booking_id" is 'Id of the booking in the system that it comes from.';
comment on column "business"."booking_history"."valid_from" is 'Since when this was known: the time of the load that brought it.';
comment on column "business"."booking_history"."valid_to" is 'Until when it was the last thing known; null: it still is.';
comment on column "business"."booking_history"."source" is 'Where it came from: the source of the event.';
comment on column "business"."booking_history"."version" is 'Number of the reading of the booking: the greatest is the newest, in whatever order they came; 0: not told.';
comment on column "business"."booking_history"."booking_name" is 'Name of the booking.';
comment on column "business"."booking_history"."takes_place_on" is 'Day on which the booking takes place, in the zone of its site; null: not set.';
comment on column "business"."booking_history"."status" is 'Where the booking stands, in the words of the system that it comes from.';
comment on column "business"."booking_history"."guests" is 'How many guests are expected.';
comment on column "business"."booking_history"."total" is 'Total, as the system says that the booking comes from.';
comment on column "business"."booking_history"."cancelled" is 'Whether the booking was cancelled or deleted.';
comment on column "business"."booking_history"."establishment" is 'Where the order goes: the establishment in the system that takes it.';
grant select on "business"."booking_history" to "mainstem_api", "mainstem_worker";

create or replace view "business"."booking_line" with (security_invoker = true) as
select h."tenant_id" as "tenant_id",
       h."connector" as "connector",
       h."site_id" as "site_id",
       h."booking_id" as "booking_id",
       s."load_ts" as "valid_from",
       s."line_id" as "line_id",
       s."version" as "version",
       s."line_name" as "line_name",
       s."quantity" as "quantity",
       s."unit_price" as "unit_price"
from "vault"."hub_booking" h
cross join lateral (
  select t."load_ts", t."raw_id" from "vault"."msat_booking_line" t where t."tenant_id" = h."tenant_id" and t."booking_hk" = h."booking_hk"
  order by t."version" desc, t."load_ts" desc, t."raw_id" desc limit 1
) v
join "vault"."msat_booking_line" s on s."tenant_id" = h."tenant_id" and s."booking_hk" = h."booking_hk" and s."load_ts" = v."load_ts" and s."raw_id" = v."raw_id"
where h."booking_hk" <> '\x0000000000000000000000000000000000000000000000000000000000000000'::bytea;
comment on view "business"."booking_line" is 'Lines of a booking over time: one set for each reading that told them. The set that was said last.';
comment on column "business"."booking_line"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "business"."booking_line"."connector" is 'Name of the connector.';
comment on column "business"."booking_line"."site_id" is 'The site, in the words of the system that the booking comes from; empty: not told.';
comment on column "business"."booking_line"."booking_id" is 'Id of the booking in the system that it comes from.';
comment on column "business"."booking_line"."valid_from" is 'Since when this was known: the time of the load that brought it.';
comment on column "business"."booking_line"."line_id" is 'Tells the lines of a booking apart; empty: the one line that says that there are none.';
comment on column "business"."booking_line"."version" is 'Number of the reading of the booking: the greatest is the newest, in whatever order they came; 0: not told.';
comment on column "business"."booking_line"."line_name" is 'Name of the item, in the words of the system that the booking comes from.';
comment on column "business"."booking_line"."quantity" is 'How many of it.';
comment on column "business"."booking_line"."unit_price" is 'Price of one; null: not told.';
grant select on "business"."booking_line" to "mainstem_api", "mainstem_worker";

create or replace view "business"."booking_takes_place" with (security_invoker = true) as
select h."tenant_id" as "tenant_id",
       k1."connector" as "connector",
       k1."site_id" as "site_id",
       k1."booking_id" as "booking_id",
       k2."connector" as "booking_site_connector",
       k2."site_id" as "booking_site_site_id",
       k3."day" as "day",
       s."starts_at" as "valid_from"
from "vault"."lnk_booking_schedule" h
join "vault"."hub_booking" k1 on k1."tenant_id" = h."tenant_id" and k1."booking_hk" = h."booking_hk"
join "vault"."hub_booking_site" k2 on k2."tenant_id" = h."tenant_id" and k2."booking_site_hk" = h."booking_site_hk"
join "vault"."hub_calendar_day" k3 on k3."tenant_id" = h."tenant_id" and k3."calendar_day_hk" = h."calendar_day_hk"
cross join lateral (
  select t.* from "vault"."esat_booking_takes_place" t where t."tenant_id" = h."tenant_id" and t."booking_hk" = h."booking_hk" and t."booking_site_hk" = h."booking_site_hk" and t."calendar_day_hk" = h."calendar_day_hk"
  order by t."version" desc, t."load_ts" desc, t."raw_id" desc limit 1
) s
where s."ends_at"::date >= date '9999-12-30';
comment on view "business"."booking_takes_place" is 'From when to when a booking was to take place on which day. What holds now.';
comment on column "business"."booking_takes_place"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "business"."booking_takes_place"."connector" is 'Name of the connector.';
comment on column "business"."booking_takes_place"."site_id" is 'The site, in the words of the system that the booking comes from; empty: not told.';
comment on column "business"."booking_takes_place"."booking_id" is 'Id of the booking in the system that it comes from.';
comment on column "business"."booking_takes_place"."booking_site_connector" is 'Name of the connector.';
comment on column "business"."booking_takes_place"."booking_site_site_id" is 'The site, in the words of the system that the booking comes from; empty: not told.';
comment on column "business"."booking_takes_place"."day" is 'Day on which something takes place, in the zone of its site.';
comment on column "business"."booking_takes_place"."valid_from" is 'From when on it held.';
grant select on "business"."booking_takes_place" to "mainstem_api", "mainstem_worker";

create or replace view "business"."booking_takes_place_history" with (security_invoker = true) as
select h."tenant_id" as "tenant_id",
       k1."connector" as "connector",
       k1."site_id" as "site_id",
       k1."booking_id" as "booking_id",
       k2."connector" as "booking_site_connector",
       k2."site_id" as "booking_site_site_id",
       k3."day" as "day",
       s."starts_at" as "valid_from",
       case when s."ends_at"::date < date '9999-12-30' then s."ends_at" end as "valid_to"
from "vault"."lnk_booking_schedule" h
join "vault"."hub_booking" k1 on k1."tenant_id" = h."tenant_id" and k1."booking_hk" = h."booking_hk"
join "vault"."hub_booking_site" k2 on k2."tenant_id" = h."tenant_id" and k2."booking_site_hk" = h."booking_site_hk"
join "vault"."hub_calendar_day" k3 on k3."tenant_id" = h."tenant_id" and k3."calendar_day_hk" = h."calendar_day_hk"
cross join lateral (
  select distinct on (t."starts_at") t.*
  from "vault"."esat_booking_takes_place" t where t."tenant_id" = h."tenant_id" and t."booking_hk" = h."booking_hk" and t."booking_site_hk" = h."booking_site_hk" and t."calendar_day_hk" = h."calendar_day_hk"
  order by t."starts_at", t."version" desc, t."load_ts" desc, t."raw_id" desc
) s;
comment on view "business"."booking_takes_place_history" is 'From when to when a booking was to take place on which day. One row per time that it held.';
comment on column "business"."booking_takes_place_history"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "business"."booking_takes_place_history"."connector" is 'Name of the connector.';
comment on column "business"."booking_takes_place_history"."site_id" is 'The site, in the words of the system that the booking comes from; empty: not told.';
comment on column "business"."booking_takes_place_history"."booking_id" is 'Id of the booking in the system that it comes from.';
comment on column "business"."booking_takes_place_history"."booking_site_connector" is 'Name of the connector.';
comment on column "business"."booking_takes_place_history"."booking_site_site_id" is 'The site, in the words of the system that the booking comes from; empty: not told.';
comment on column "business"."booking_takes_place_history"."day" is 'Day on which something takes place, in the zone of its site.';
comment on column "business"."booking_takes_place_history"."valid_from" is 'From when on it held.';
comment on column "business"."booking_takes_place_history"."valid_to" is 'Until when it held; 9999-12-31: it still does.';
grant select on "business"."booking_takes_place_history" to "mainstem_api", "mainstem_worker";

create or replace view "business"."booking_presence" with (security_invoker = true) as
select h."tenant_id" as "tenant_id",
       h."connector" as "connector",
       h."site_id" as "site_id",
       h."booking_id" as "booking_id",
       s."load_ts" as "last_seen",
       s."version" as "version",
       s."present" as "present"
from "vault"."hub_booking" h
cross join lateral (
  select t.* from "vault"."rts_booking_presence" t where t."tenant_id" = h."tenant_id" and t."booking_hk" = h."booking_hk"
  order by t."version" desc, t."load_ts" desc, t."raw_id" desc limit 1
) s
where h."booking_hk" <> '\x0000000000000000000000000000000000000000000000000000000000000000'::bytea;
comment on view "business"."booking_presence" is 'When a booking was seen, and when it was found cancelled or deleted. The last time of each.';
comment on column "business"."booking_presence"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "business"."booking_presence"."connector" is 'Name of the connector.';
comment on column "business"."booking_presence"."site_id" is 'The site, in the words of the system that the booking comes from; empty: not told.';
comment on column "business"."booking_presence"."booking_id" is 'Id of the booking in the system that it comes from.';
comment on column "business"."booking_presence"."last_seen" is 'When the vault last heard of it: the time of the load.';
comment on column "business"."booking_presence"."version" is 'Number of the reading of the booking: the greatest is the newest, in whatever order they came; 0: not told.';
comment on column "business"."booking_presence"."present" is 'Whether the booking was there; false: cancelled or deleted.';
grant select on "business"."booking_presence" to "mainstem_api", "mainstem_worker";

create or replace view "business"."pos_order_history" with (security_invoker = true) as
select h."tenant_id" as "tenant_id",
       h."connector" as "connector",
       h."establishment" as "establishment",
       h."local_id" as "local_id",
       s."load_ts" as "valid_from",
       s.valid_to as "valid_to",
       s."rsrc" as "source",
       s."version" as "version",
       s."order_state" as "order_state",
       s."order_id" as "order_id",
       s."order_hash" as "order_hash",
       s."total" as "total",
       s."reason" as "reason"
from "vault"."hub_pos_order" h
cross join lateral (
  select t.*, case when min(t."load_ts") over (order by t."version", t."load_ts", t."raw_id" rows between 1 following and unbounded following) is not null then greatest(min(t."load_ts") over (order by t."version", t."load_ts", t."raw_id" rows between 1 following and unbounded following), t."load_ts") end as valid_to
  from "vault"."sat_pos_order" t where t."tenant_id" = h."tenant_id" and t."pos_order_hk" = h."pos_order_hk"
) s
where h."pos_order_hk" <> '\x0000000000000000000000000000000000000000000000000000000000000000'::bytea;
comment on view "business"."pos_order_history" is 'What became of an order over time. One row per version.';
comment on column "business"."pos_order_history"."tenant_id" is 'The tenant that the row belongs to: platform.tenant.';
comment on column "business"."pos_order_history"."connector" is 'Name of the connector.';
comment on column "business"."pos_order_history"."establishment" is 'Where the order goes: the establishment in the system that takes it.';
comment on column "business"."pos_order_history"."local_id" is 'Name of the order in the system that takes it.';
comment on column "business"."pos_order_history"."valid_from" is 'Since when this was known: the time of the load that brought it.';
comment on column "business"."pos_order_history"."valid_to" is 'Until when it was the last thing known; null: it still is.';
comment on column "business"."pos_order_history"."source" is 'Where it came from: the source of the event.';
comment on column "business"."pos_order_history"."version" is 'Number of the reading of the booking: the greatest is the newest, in whatever order they came; 0: not told.';
comment on column "business"."pos_order_history"."order_state" is 'What became of the order last: injected, failed, voided, unknown, …';
comment on column "business"."pos_order_history"."order_id" is 'Id of the order in the system that took it; null: it has none yet.';
comment on column "business"."pos_order_history"."order_hash" is 'Hash of all that makes a difference to the order.';
comment on column "business"."pos_order_history"."total" is 'Total, as the system says that the booking comes from.';
comment on column "business"."pos_order_history"."reason" is 'Why it is so.';
grant select on "business"."pos_order_history" to "mainstem_api", "mainstem_worker";
