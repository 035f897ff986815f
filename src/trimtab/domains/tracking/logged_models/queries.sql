-- name: insert_model
insert into tracking_logged_model
  (id, experiment_no, name, model_type, source_run_id, status, state, artifact_uri, created_us, updated_us)
values (:id, :experiment_no, :name, :model_type, :source_run_id, 'PENDING', 'active', :artifact_uri, :now_us, :now_us);

-- name: model
select l.id, l.experiment_no, l.name, l.model_type, l.source_run_id, l.status, l.state, l.artifact_uri, l.created_us, l.updated_us
from tracking_logged_model l where l.id = :id;

-- name: models
select l.id, l.experiment_no, l.name, l.model_type, l.source_run_id, l.status, l.state, l.artifact_uri, l.created_us, l.updated_us{columns}
from tracking_logged_model l {where} order by {order} limit :limit;

-- name: known
select id from tracking_logged_model where id in (select value from json_each(:models));
-- name: known @postgresql
select id from tracking_logged_model where id = any(:models);

-- name: set_status
update tracking_logged_model set status = :status, updated_us = :now_us where id = :id;

-- name: set_state
update tracking_logged_model set state = :state, updated_us = :now_us, deleted_us = :deleted_us where id = :id;

-- name: put_tag
insert into tracking_logged_model_tag (model_id, key, value) values (:model_id, :key, :value)
on conflict (model_id, key) do update set value = excluded.value;

-- name: delete_tag
delete from tracking_logged_model_tag where model_id = :model_id and key = :key;

-- name: tags
select model_id, key, value from tracking_logged_model_tag
where model_id in (select value from json_each(:models)) order by model_id, key;
-- name: tags @postgresql
select model_id, key, value from tracking_logged_model_tag
where model_id = any(:models) order by model_id, key;

-- name: insert_param
insert into tracking_logged_model_param (model_id, key, value) values (:model_id, :key, :value)
on conflict (model_id, key) do nothing;

-- name: params
select model_id, key, value from tracking_logged_model_param
where model_id in (select value from json_each(:models)) order by model_id, key;
-- name: params @postgresql
select model_id, key, value from tracking_logged_model_param
where model_id = any(:models) order by model_id, key;

-- name: append_metric
insert into tracking_logged_model_metric
  (model_id, key, at_us, step, run_id, dataset_name, dataset_digest, value, kind)
values (:model_id, :key, :at_us, :step, :run_id, :dataset_name, :dataset_digest, :value, :kind)
on conflict (model_id, key, at_us, step, run_id, dataset_name, dataset_digest, value, kind) do nothing;

-- name: metrics
select model_id, key, value, kind, at_us, step, run_id, dataset_name, dataset_digest
from tracking_logged_model_metric
where model_id in (select value from json_each(:models)) order by model_id, key, at_us, step, run_id;
-- name: metrics @postgresql
select model_id, key, value, kind, at_us, step, run_id, dataset_name, dataset_digest
from tracking_logged_model_metric
where model_id = any(:models) order by model_id, key, at_us, step, run_id;

-- name: purge_params
delete from tracking_logged_model_param where model_id in (select value from json_each(:models));
-- name: purge_params @postgresql
delete from tracking_logged_model_param where model_id = any(:models);

-- name: purge_tags
delete from tracking_logged_model_tag where model_id in (select value from json_each(:models));
-- name: purge_tags @postgresql
delete from tracking_logged_model_tag where model_id = any(:models);

-- name: purge_metrics
delete from tracking_logged_model_metric where model_id in (select value from json_each(:models));
-- name: purge_metrics @postgresql
delete from tracking_logged_model_metric where model_id = any(:models);

-- name: purge_models
delete from tracking_logged_model where id in (select value from json_each(:models));
-- name: purge_models @postgresql
delete from tracking_logged_model where id = any(:models);

-- name: of_experiment
select id, artifact_uri from tracking_logged_model where experiment_no = :experiment_no order by id limit :limit;

-- name: places
select id, experiment_no, source_run_id, artifact_uri from tracking_logged_model
where id in (select value from json_each(:models));
-- name: places @postgresql
select id, experiment_no, source_run_id, artifact_uri from tracking_logged_model where id = any(:models);

-- name: count_of_experiment
select count(*) from tracking_logged_model where experiment_no = :experiment_no;
