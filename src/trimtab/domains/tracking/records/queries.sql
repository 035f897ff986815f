-- name: mark
insert into tracking_import_mark (ref, fingerprint, origin, at_us) values (:ref, :fingerprint, :origin, :at_us)
on conflict (ref) do update set fingerprint = excluded.fingerprint, origin = excluded.origin, at_us = excluded.at_us;

-- name: marks
select ref, fingerprint from tracking_import_mark where ref in (select value from json_each(:refs));
-- name: marks @postgresql
select ref, fingerprint from tracking_import_mark where ref = any(:refs);

-- name: set_experiment_times
update tracking_experiment set created_us = :created_us, updated_us = :updated_us where no = :no;

-- name: set_model_times
update tracking_logged_model set created_us = :created_us, updated_us = :updated_us where id = :id;

-- name: run_exists
select 1 from tracking_run where id = :id;

-- name: model_exists
select 1 from tracking_logged_model where id = :id;
