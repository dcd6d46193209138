-- A customer's way in the hub's own words: no page of it says who the customer is.

-- name: patience
-- A history without bounds must not hold a connection.
set local statement_timeout = '8s'

-- name: visitors_of
-- The visitors that said they are this customer.
select v.visitor from business.customer_visitor v
where v.tenant_id = $1 and v.customer = $2
order by v.first_seen, v.visitor
limit 50

-- name: steps
-- Clicks, site events and other events since $4, the latest first; texts of senders are left out.
(select c.occurred_at as at, 'click' as kind, c.tracking_id as what, c.click_source as detail, c.channel, c.utm_campaign as campaign
 from business.click c
 where c.tenant_id = $1 and c.visitor = any ($2::text[]) and c.received_at >= $4 and c.occurred_at >= $4
 order by c.occurred_at desc limit $5)
union all
(select e.occurred_at, 'visit', e.page_path, e.event_type, e.channel, e.utm_campaign
 from business.site_event e
 where e.tenant_id = $1 and e.visitor = any ($2::text[]) and e.received_at >= $4
 order by e.occurred_at desc limit $5)
union all
(select o.occurred_at, 'event', o.kind, null, null, null
 from business.event o
 where o.tenant_id = $1 and o.customer = $3::text and o.received_at >= $4
 order by o.occurred_at desc limit $5)
order by at desc
limit $5
