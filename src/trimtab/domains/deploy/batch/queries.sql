-- name: insert
insert into deploy_batch
  (id, model, model_version, data, data_version, path, output, options, state, rows_total, rows_done, rows_refused,
   rows_per_s, output_version, refused_version, summary, error, reason, created_us, created_by, started_us, ended_us)
values
  (:id, :model, :model_version, :data, :data_version, :path, :output, :options, :state, :rows_total, :rows_done,
   :rows_refused, :rows_per_s, :output_version, :refused_version, :summary, :error, :reason, :created_us, :created_by,
   :started_us, :ended_us);

-- name: find
select id, model, model_version, data, data_version, path, output, options, state, rows_total, rows_done, rows_refused,
  rows_per_s, output_version, refused_version, summary, error, reason, created_us, created_by, started_us, ended_us
from deploy_batch {where} order by id desc limit :limit;

-- name: begin
update deploy_batch set state = 'running', started_us = coalesce(started_us, :now_us)
where id = :id and state in ('queued', 'running');

-- name: note
update deploy_batch
set rows_total = :rows_total, rows_done = :rows_done, rows_refused = :rows_refused, rows_per_s = :rows_per_s
where id = :id and state = 'running';

-- name: finish
update deploy_batch
set state = :state, error = :error, summary = :summary, output_version = :output_version,
  refused_version = :refused_version, rows_done = coalesce(cast(:rows_done as bigint), rows_done),
  rows_refused = coalesce(cast(:rows_refused as bigint), rows_refused),
  rows_total = coalesce(cast(:rows_total as bigint), rows_total), rows_per_s = :rows_per_s, ended_us = :ended_us
where id = :id and state in ('queued', 'running');

-- name: rename_model
update deploy_batch set model = :new_name where model = :old_name;
