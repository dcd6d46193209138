drop view business.click, business.tracked_link_history, business.tracked_link, business.link_clicks;
drop table business.link_time, business.link_visitor_day, business.link_day, business.link_total, business.missed_day;
drop table vault.nhl_click, vault.sat_tracked_link, vault.sat_customer_click_pii, vault.hub_tracked_link;
