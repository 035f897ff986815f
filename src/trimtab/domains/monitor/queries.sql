-- name: insert_monitor
insert into monitor_monitor
  (name, endpoint, reference, features, group_by, policy, baseline, champion, state, problem, reference_rows, sketch,
   drift_state, loss_state, watermark_us, label_watermark_us, created_us, updated_us)
values
  (:name, :endpoint, :reference, :features, :group_by, :policy, :baseline, :champion, :state, :problem,
   :reference_rows, :sketch, :drift_state, :loss_state, :watermark_us, :label_watermark_us, :created_us, :updated_us);

-- name: update_monitor
update monitor_monitor
set reference = :reference, features = :features, group_by = :group_by, policy = :policy, baseline = :baseline,
    champion = :champion, state = :state, problem = :problem, reference_rows = :reference_rows, sketch = :sketch,
    drift_state = :drift_state, loss_state = :loss_state, watermark_us = :watermark_us,
    label_watermark_us = :label_watermark_us, updated_us = :updated_us
where name = :name;

-- name: monitors
select name, endpoint, reference, features, group_by, policy, baseline, champion, state, problem, reference_rows,
       sketch, drift_state, loss_state, watermark_us, label_watermark_us, created_us, updated_us
from monitor_monitor {where} order by name;

-- name: delete_monitor
delete from monitor_monitor where name = :name;

-- name: delete_windows
delete from monitor_window where monitor = :name;

-- name: delete_losses
delete from monitor_losses where monitor = :name;

-- name: put_window
insert into monitor_window
  (monitor, start_us, end_us, reference, rows, errors, labelled, versions, routes, counts, counted, drift, performance,
   closed)
values
  (:monitor, :start_us, :end_us, :reference, :rows, :errors, :labelled, :versions, :routes, :counts, :counted, :drift, :performance,
   :closed)
on conflict (monitor, start_us) do update
set rows = excluded.rows, errors = excluded.errors, labelled = excluded.labelled, versions = excluded.versions,
    routes = excluded.routes, counts = excluded.counts, counted = excluded.counted, drift = excluded.drift,
    performance = excluded.performance, closed = excluded.closed;

-- name: windows
select monitor, start_us, end_us, reference, rows, errors, labelled, versions, routes, counts, counted, drift,
       performance, closed
from monitor_window {where} {order} limit :limit;

-- name: put_losses
insert into monitor_losses (monitor, start_us, rows, mass, used)
values (:monitor, :start_us, :rows, :mass, :used)
on conflict (monitor, start_us) do update
set rows = excluded.rows, mass = excluded.mass, used = excluded.used;

-- name: losses
select monitor, start_us, rows, mass, used from monitor_losses {where} order by start_us;

-- name: use_all_losses
update monitor_losses set used = 1 where monitor = :name;

-- name: insert_part
insert into monitor_part
  (id, endpoint, kind, blob, rows, min_id, max_id, min_event_us, max_event_us, created_us)
values
  (:id, :endpoint, :kind, :blob, :rows, :min_id, :max_id, :min_event_us, :max_event_us, :created_us);

-- name: parts
select id, endpoint, kind, blob, rows, min_id, max_id, min_event_us, max_event_us, created_us
from monitor_part {where} order by id;

-- name: newest_parts
select id, endpoint, kind, blob, rows, min_id, max_id, min_event_us, max_event_us, created_us
from monitor_part where endpoint = :endpoint and kind = :kind order by id desc limit :limit;

-- name: delete_parts
delete from monitor_part where created_us < :before_us;

-- name: insert_segment
insert into monitor_segment (name, at_us) values (:name, :at_us) on conflict (name) do nothing;

-- name: segment
select 1 from monitor_segment where name = :name;

-- name: delete_segments
delete from monitor_segment where at_us < :before_us;

-- name: put_trial
insert into monitor_trial (rollout, endpoint, champion, challenger, state, action)
values (:rollout, :endpoint, :champion, :challenger, :state, :action)
on conflict (rollout) do update set state = excluded.state, action = excluded.action;

-- name: trials
select rollout, endpoint, champion, challenger, state, action from monitor_trial {where};

-- name: delete_trial
delete from monitor_trial where rollout = :rollout;

-- name: close_windows
update monitor_window set closed = 1 where monitor = :name;
