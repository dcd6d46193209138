drop function api.finish_delivery(bigint, uuid, integer, integer, text, text, integer),
  api.extend_delivery(bigint, uuid, interval), api.get_ready_deliveries(integer, interval), api.count_pending_by_status(),
  api.get_webhook_decrypted(bigint), api.update_webhook_health(bigint, integer, integer, text);
drop view api.v_webhook_performance, api.v_degraded_webhooks, api.v_webhook_health_dashboard, api.alert_delivery_queue,
  api.webhook_health_metrics;
drop function webhooks.queue_changed(), webhooks.queue_written(),
  webhooks.wait_again(bigint, integer, text, integer, timestamptz),
  webhooks.end_delivery(bigint, integer, text, integer, integer, text, timestamptz),
  webhooks.count_attempt(integer, integer, boolean, integer), webhooks.insist_on_haste(), webhooks.delays(jsonb),
  webhooks.body(text, text, uuid, text, text, text, timestamptz, json), webhooks.uri_path(text), webhooks.as_jsonb(json);
drop index webhooks.attempt_endpoint_idx;
