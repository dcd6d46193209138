-- The archive: how a row is compared with its copy in a file, and how an archived day leaves the landing.

-- The first 64 bits of the SHA-256 of a row as PostgreSQL sends it in binary: types, lengths and values of all columns.
create function raw.row_hash(p_row anyelement) returns bigint
language sql stable parallel safe
as $$ select ('x' || encode(substr(sha256(record_send(p_row)), 1, 8), 'hex'))::bit(64)::bigint $$;
comment on function raw.row_hash(anyelement) is
  'Hash of a whole row, the same that the archive computes from its files (mainstem.events.archive).';

-- Keeps everybody from adding to a day's partition until the transaction ends; false when the day has none.
create function raw.hold_day(p_day date) returns boolean
language plpgsql
as $$
declare
  part constant text := 'event_' || to_char(p_day, 'YYYYMMDD');
begin
  if to_regclass('raw.' || part) is null then
    return false;
  end if;
  execute format('lock table raw.%I in share mode', part);
  return true;
end $$;

-- Drops the partition of a day that the caller holds and has compared with the archive. A day without one has its late
-- events in the default partition: those go that are in the caller's pg_temp.archived (raw_id, hash), and no others.
create function raw.drop_day(p_day date) returns void
language plpgsql
as $$
declare
  part constant text := 'event_' || to_char(p_day, 'YYYYMMDD');
begin
  if to_regclass('raw.' || part) is not null then
    execute format('drop table raw.%I', part);
    return;
  end if;
  delete from raw.event_default e using pg_temp.archived a
  where e.received_at >= (p_day::text || ' 00:00+00')::timestamptz
    and e.received_at < ((p_day + 1)::text || ' 00:00+00')::timestamptz
    and e.raw_id = a.raw_id and raw.row_hash(e) = a.hash;
end $$;
