drop index vault.hub_visitor_load_idx, vault.hub_session_load_idx, vault.hub_page_load_idx, vault.hub_campaign_load_idx,
  vault.lnk_session_visitor_load_idx, vault.sat_page_load_idx, vault.sat_visitor_device_load_idx,
  vault.nhl_site_event_load_idx, vault.nhl_event_load_idx, vault.hub_customer_load_idx,
  vault.lnk_customer_visitor_load_idx, vault.sat_customer_site_pii_load_idx, vault.sat_customer_pii_load_idx;
drop index raw.batch_load_idx;
drop trigger batch_pruned on raw.batch;
drop function raw.count_pruned();
drop table raw.pruned_total;
drop table vault.verified;
