drop function raw.drop_day(date);
drop function raw.hold_day(date);
drop function raw.row_hash(anyelement);
