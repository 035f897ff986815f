-- name: insert_webhook
insert into registry_webhook (id, name, description, url, secret, status, created_us, created_by, updated_us)
values (:id, :name, :description, :url, :secret, :status, :created_us, :created_by, :updated_us);

-- name: update_webhook
update registry_webhook
set name = :name, description = :description, url = :url, secret = :secret, status = :status, updated_us = :updated_us
where id = :id;

-- name: delete_webhook
delete from registry_webhook where id = :id;

-- name: webhooks
select id, name, url, status, description, created_us, created_by, updated_us
from registry_webhook {where} order by created_us desc, id desc limit :limit;

-- name: secret
select secret from registry_webhook where id = :id;

-- name: insert_event
insert into registry_webhook_event (webhook, entity, action, place) values (:webhook, :entity, :action, :place);

-- name: delete_events
delete from registry_webhook_event where webhook = :webhook;

-- name: events
select webhook, entity, action from registry_webhook_event {where} order by webhook, place;

-- name: told
select e.webhook from registry_webhook_event e join registry_webhook w on w.id = e.webhook
where e.entity = :entity and e.action = :action and w.status = 'ACTIVE' order by e.webhook;

-- name: insert_delivery
insert into registry_webhook_delivery (id, webhook, entity, action, body, state, attempts, created_us, updated_us)
values (:id, :webhook, :entity, :action, :body, 'waiting', 0, :now_us, :now_us);

-- name: delivery
select webhook, body, state from registry_webhook_delivery where id = :id;

-- name: record_attempt
update registry_webhook_delivery
set state = :state, attempts = attempts + 1, status_code = :status_code, error = :error, updated_us = :now_us
where id = :id;

-- name: deliveries
select id, webhook, entity, action, state, attempts, status_code, error, created_us, updated_us
from registry_webhook_delivery {where} order by id desc limit :limit;

-- name: delete_deliveries
delete from registry_webhook_delivery where created_us < :before_us;
