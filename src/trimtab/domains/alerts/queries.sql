-- name: insert_alert
insert into alerts_alert (id, rule, severity, state, title, detail, subject, dedupe_key, data, episode_id, opened_us,
                          updated_us, count, acknowledged_us, acknowledged_by, resolved_us, resolved_by, note, cause)
values (:id, :rule, :severity, :state, :title, :detail, :subject, :dedupe_key, :data, :episode_id, :opened_us,
        :updated_us, :count, :acknowledged_us, :acknowledged_by, :resolved_us, :resolved_by, :note, :cause);

-- name: update_alert
update alerts_alert
set severity = :severity, state = :state, title = :title, detail = :detail, data = :data, episode_id = :episode_id,
    updated_us = :updated_us, count = :count, acknowledged_us = :acknowledged_us, acknowledged_by = :acknowledged_by,
    resolved_us = :resolved_us, resolved_by = :resolved_by, note = :note, cause = :cause
where id = :id;

-- name: alert
select id, rule, severity, state, title, detail, subject, dedupe_key, data, episode_id, opened_us, updated_us, count,
       acknowledged_us, acknowledged_by, resolved_us, resolved_by, note, cause
from alerts_alert where id = :id;

-- name: newest_of_key
select id, rule, severity, state, title, detail, subject, dedupe_key, data, episode_id, opened_us, updated_us, count,
       acknowledged_us, acknowledged_by, resolved_us, resolved_by, note, cause
from alerts_alert where dedupe_key = :dedupe_key order by id desc limit 1;

-- name: alerts
select id, rule, severity, state, title, detail, subject, dedupe_key, data, episode_id, opened_us, updated_us, count,
       acknowledged_us, acknowledged_by, resolved_us, resolved_by, note, cause
from alerts_alert {where} order by id desc limit :limit;

-- name: quiet_alerts
select id from alerts_alert
where rule = :rule and state in ('open', 'acknowledged') and updated_us < :before_us order by id;

-- name: put_rule
insert into alerts_rule (name, definition, updated_us, updated_by)
values (:name, :definition, :updated_us, :updated_by)
on conflict (name) do update
set definition = excluded.definition, updated_us = excluded.updated_us, updated_by = excluded.updated_by;

-- name: rule
select definition, updated_us, updated_by from alerts_rule where name = :name;

-- name: rules
select definition, updated_us, updated_by from alerts_rule order by name;

-- name: delete_rule
delete from alerts_rule where name = :name;

-- name: insert_channel
insert into alerts_channel (name, kind, url, secret, min_severity, enabled, created_us, created_by)
values (:name, :kind, :url, :secret, :min_severity, :enabled, :created_us, :created_by);

-- name: channels
select name, kind, url, min_severity, enabled, created_us, created_by from alerts_channel order by name;

-- name: channel
select name, kind, url, min_severity, enabled, created_us, created_by from alerts_channel where name = :name;

-- name: channel_secret
select secret from alerts_channel where name = :name;

-- name: set_channel_secret
update alerts_channel set secret = :secret where name = :name;

-- name: enable_channel
update alerts_channel set enabled = :enabled where name = :name;

-- name: delete_channel
delete from alerts_channel where name = :name;

-- name: insert_delivery
insert into alerts_delivery (id, channel, alert_id, kind, body, state, attempts, created_us, updated_us)
values (:id, :channel, :alert_id, :kind, :body, 'queued', 0, :now_us, :now_us);

-- name: delivery_body
select channel, body from alerts_delivery where id = :id;

-- name: record_attempt
update alerts_delivery
set state = :state, attempts = attempts + 1, status_code = :status_code, error = :error, updated_us = :now_us
where id = :id;

-- name: deliveries
select id, channel, alert_id, kind, state, attempts, status_code, error, created_us, updated_us
from alerts_delivery {where} order by id desc limit :limit;

-- name: delete_deliveries
delete from alerts_delivery where created_us < :before_us;

-- name: advance
insert into alerts_watermark (dedupe_key, seq) values (:dedupe_key, :seq)
on conflict (dedupe_key) do update set seq = excluded.seq where alerts_watermark.seq < excluded.seq;
