drop view business.pos_order_history, business.booking_presence, business.booking_takes_place_history,
  business.booking_takes_place, business.booking_line, business.booking_history, business.booking_pos_order,
  business.booking_schedule, business.pos_order, business.calendar_day, business.booking_site, business.booking;
drop table business.booking_day, business.booking_counted;
drop table vault.sat_pos_order, vault.rts_booking_presence, vault.esat_booking_takes_place, vault.msat_booking_line,
  vault.sat_booking, vault.lnk_booking_pos_order, vault.lnk_booking_schedule, vault.hub_pos_order,
  vault.hub_calendar_day, vault.hub_booking_site, vault.hub_booking, vault.sat_customer_booking_pii;
