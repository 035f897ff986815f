-- name: append
insert into tracking_metric_tail (run_no, points, columns) values (:run_no, :points, :columns);

-- name: newest_unfolded
select no from tracking_metric_tail where no > (select upto from tracking_metric_fold) order by no desc limit 1;

-- name: unfolded_rows
select t.no, t.run_no, r.experiment_no, t.columns
from tracking_metric_tail t join tracking_run r on r.no = t.run_no
where t.no > (select upto from tracking_metric_fold) order by t.no limit :limit;

-- name: unfolded_of_runs
select run_no, columns from tracking_metric_tail
where run_no in (select value from json_each(:runs)) and no > (select upto from tracking_metric_fold);
-- name: unfolded_of_runs @postgresql
select run_no, columns from tracking_metric_tail
where run_no = any(:runs) and no > (select upto from tracking_metric_fold);

-- name: set_folded
update tracking_metric_fold set upto = :upto;

-- name: lower_folded
update tracking_metric_fold
set upto = (select coalesce(max(no), 0) from tracking_metric_tail)
where upto > (select coalesce(max(no), 0) from tracking_metric_tail);

-- name: latest
select run_no, key_no, nan, value, step, at_us, least, greatest, points from tracking_metric_latest
where run_no in (select value from json_each(:runs));
-- name: latest @postgresql
select run_no, key_no, nan, value, step, at_us, least, greatest, points from tracking_metric_latest
where run_no = any(:runs);

-- name: put_latest
insert into tracking_metric_latest
  (run_no, key_no, experiment_no, nan, value, step, at_us, least, greatest, points)
values (:run_no, :key_no, :experiment_no, :nan, :value, :step, :at_us, :least, :greatest, :points)
on conflict (run_no, key_no) do update
set nan = excluded.nan, value = excluded.value, step = excluded.step, at_us = excluded.at_us,
  least = excluded.least, greatest = excluded.greatest, points = excluded.points;

-- name: set_points
update tracking_metric_latest set points = :points where run_no = :run_no and key_no = :key_no;

-- name: tail
select no, columns from tracking_metric_tail where run_no = :run_no order by no;

-- name: folded_tail
select no, columns from tracking_metric_tail
where run_no = :run_no and no <= (select upto from tracking_metric_fold) order by no limit :limit;

-- name: drop_tail
delete from tracking_metric_tail where no in (select value from json_each(:numbers));
-- name: drop_tail @postgresql
delete from tracking_metric_tail where no = any(:numbers);

-- name: waiting
select run_no, count(*) from tracking_metric_tail group by run_no having count(*) > :more_than;

-- name: block_places
select no, key_no, points, first_step, first_us, last_step, last_us from tracking_metric_block
where run_no = :run_no order by key_no, first_step, first_us, no;

-- name: blocks_among
select no, key_no, columns from tracking_metric_block where no in (select value from json_each(:numbers));
-- name: blocks_among @postgresql
select no, key_no, columns from tracking_metric_block where no = any(:numbers);

-- name: blocks
select first_step, first_us, last_step, last_us, columns from tracking_metric_block
where run_no = :run_no and key_no = :key_no and last_step >= :first_step and first_step <= :last_step;

-- name: drop_blocks
delete from tracking_metric_block where no in (select value from json_each(:numbers));
-- name: drop_blocks @postgresql
delete from tracking_metric_block where no = any(:numbers);

-- name: insert_block
insert into tracking_metric_block
  (run_no, key_no, points, first_step, first_us, last_step, last_us, columns)
values (:run_no, :key_no, :points, :first_step, :first_us, :last_step, :last_us, :columns);

-- name: purge_tail
delete from tracking_metric_tail where run_no in (select value from json_each(:runs));
-- name: purge_tail @postgresql
delete from tracking_metric_tail where run_no = any(:runs);

-- name: purge_blocks
delete from tracking_metric_block where run_no in (select value from json_each(:runs));
-- name: purge_blocks @postgresql
delete from tracking_metric_block where run_no = any(:runs);

-- name: purge_latest
delete from tracking_metric_latest where run_no in (select value from json_each(:runs));
-- name: purge_latest @postgresql
delete from tracking_metric_latest where run_no = any(:runs);

-- name: keys
select distinct k.name from tracking_metric_latest l
join tracking_run r on r.no = l.run_no join tracking_key k on k.no = l.key_no
where l.experiment_no = :experiment_no and r.state = 'active' order by k.name limit :limit;

-- name: old_points
select p.run_no, k.name, p.at_us, p.step, p.value, p.kind
from tracking_metric_point p join tracking_key k on k.no = p.key_no
where p.run_no = (select min(run_no) from tracking_metric_point) limit :limit;

-- name: drop_old_points
delete from tracking_metric_point where run_no = :run_no and key_no = :key_no and at_us = :at_us
  and step = :step and value = :value and kind = :kind;
