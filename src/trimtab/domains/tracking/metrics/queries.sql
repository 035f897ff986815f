-- name: append_point
insert into tracking_metric_point (run_no, key_no, at_us, step, value, kind)
values (:run_no, :key_no, :at_us, :step, :value, :kind)
on conflict (run_no, key_no, at_us, step, value, kind) do nothing;

-- name: put_latest
insert into tracking_metric_latest (run_no, key_no, value, kind, step, at_us)
values (:run_no, :key_no, :value, :kind, :step, :at_us)
on conflict (run_no, key_no) do update
set value = excluded.value, kind = excluded.kind, step = excluded.step, at_us = excluded.at_us
where (excluded.step, excluded.at_us, excluded.value)
  > (tracking_metric_latest.step, tracking_metric_latest.at_us, tracking_metric_latest.value);

-- name: latest
select l.run_no, k.name, l.value, l.kind, l.step, l.at_us
from tracking_metric_latest l join tracking_key k on k.no = l.key_no
where l.run_no in (select value from json_each(:runs)) order by l.run_no, k.name;
-- name: latest @postgresql
select l.run_no, k.name, l.value, l.kind, l.step, l.at_us
from tracking_metric_latest l join tracking_key k on k.no = l.key_no
where l.run_no = any(:runs) order by l.run_no, k.name;

-- name: history
select at_us, step, value, kind from tracking_metric_point
where run_no = :run_no and key_no = :key_no order by at_us, step, value, kind limit :limit;

-- name: history_after
select at_us, step, value, kind from tracking_metric_point
where run_no = :run_no and key_no = :key_no and at_us >= :at_us
  and (at_us, step, value, kind) > (:at_us, :step, :value, :kind)
order by at_us, step, value, kind limit :limit;

-- name: curve
select step, at_us, value, kind from tracking_metric_point
where run_no = :run_no and key_no = :key_no and step between :first_step and :last_step
order by step, at_us, value, kind;

-- name: keys
select distinct k.name from tracking_metric_latest l
join tracking_run r on r.no = l.run_no join tracking_key k on k.no = l.key_no
where r.experiment_no = :experiment_no and r.state = 'active' order by k.name limit :limit;
