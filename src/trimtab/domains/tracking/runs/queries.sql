-- name: insert_run
insert into tracking_run (id, experiment_no, name, status, started_us, ended_us, owner, state, artifact_uri)
values (:id, :experiment_no, :name, :status, :started_us, null, :owner, 'active', :artifact_uri)
returning no;

-- name: head
select no, id, experiment_no, name, status, started_us, ended_us, owner, state, artifact_uri
from tracking_run where id = :id;

-- name: heads
select no, id, experiment_no, name, status, started_us, ended_us, owner, state, artifact_uri
from tracking_run where no in (select value from json_each(:runs));
-- name: heads @postgresql
select no, id, experiment_no, name, status, started_us, ended_us, owner, state, artifact_uri
from tracking_run where no = any(:runs);

-- name: search
select r.no{columns} from {tables} {where} order by {order} limit :limit;

-- name: edge
select {column} from {table} r {where} order by {order} limit 1 offset :offset;

-- name: count_some_rows
select count(*) from (select 1 from {table} x where {here} and {condition} limit :most) found;

-- name: experiments
select no from tracking_experiment;

-- name: update_run
update tracking_run set name = :name, status = :status, ended_us = :ended_us where no = :no;

-- name: set_state
update tracking_run set state = :state, deleted_us = :deleted_us where no = :no;

-- name: set_state_of_all
update tracking_run set state = :state, deleted_us = :deleted_us where experiment_no = :experiment_no;

-- name: counts
select experiment_no, count(*) from tracking_run
where state = 'active' and experiment_no in (select value from json_each(:experiments)) group by experiment_no;
-- name: counts @postgresql
select experiment_no, count(*) from tracking_run
where state = 'active' and experiment_no = any(:experiments) group by experiment_no;

-- name: insert_param
insert into tracking_run_param (run_no, experiment_no, key_no, value)
values (:run_no, :experiment_no, :key_no, :value)
on conflict (run_no, key_no) do nothing;

-- name: params
select run_no, key_no, value from tracking_run_param where run_no in (select value from json_each(:runs));
-- name: params @postgresql
select run_no, key_no, value from tracking_run_param where run_no = any(:runs);

-- name: params_among
select key_no, value from tracking_run_param
where run_no = :run_no and key_no in (select value from json_each(:keys));
-- name: params_among @postgresql
select key_no, value from tracking_run_param where run_no = :run_no and key_no = any(:keys);

-- name: put_tag
insert into tracking_run_tag (run_no, experiment_no, key_no, value)
values (:run_no, :experiment_no, :key_no, :value)
on conflict (run_no, key_no) do update set value = excluded.value;

-- name: delete_tag
delete from tracking_run_tag where run_no = :run_no and key_no = :key_no;

-- name: tag
select value from tracking_run_tag where run_no = :run_no and key_no = :key_no;

-- name: tags
select run_no, key_no, value from tracking_run_tag where run_no in (select value from json_each(:runs));
-- name: tags @postgresql
select run_no, key_no, value from tracking_run_tag where run_no = any(:runs);

-- name: insert_dataset
insert into tracking_dataset (experiment_no, name, digest, source_type, source, schema, profile)
values (:experiment_no, :name, :digest, :source_type, :source, :schema, :profile)
on conflict (experiment_no, name, digest) do nothing;

-- name: insert_input
insert into tracking_run_dataset (run_no, dataset_no, context, tags)
select :run_no, no, :context, :tags from tracking_dataset
where experiment_no = :experiment_no and name = :name and digest = :digest
on conflict (run_no, dataset_no) do nothing;
-- name: insert_input @postgresql
insert into tracking_run_dataset (run_no, dataset_no, context, tags)
select cast(:run_no as bigint), no, cast(:context as text), cast(:tags as text) from tracking_dataset
where experiment_no = :experiment_no and name = :name and digest = :digest
on conflict (run_no, dataset_no) do nothing;

-- name: inputs
select i.run_no, d.name, d.digest, d.source_type, d.source, d.schema, d.profile, i.tags
from tracking_run_dataset i join tracking_dataset d on d.no = i.dataset_no
where i.run_no in (select value from json_each(:runs)) order by i.run_no, d.no;
-- name: inputs @postgresql
select i.run_no, d.name, d.digest, d.source_type, d.source, d.schema, d.profile, i.tags
from tracking_run_dataset i join tracking_dataset d on d.no = i.dataset_no
where i.run_no = any(:runs) order by i.run_no, d.no;

-- name: dataset_summaries
select distinct d.experiment_no, d.name, d.digest, i.context
from tracking_dataset d join tracking_run_dataset i on i.dataset_no = d.no
where d.experiment_no in (select value from json_each(:experiments))
order by d.experiment_no, d.name, d.digest, i.context limit :limit;
-- name: dataset_summaries @postgresql
select distinct d.experiment_no, d.name, d.digest, i.context
from tracking_dataset d join tracking_run_dataset i on i.dataset_no = d.no
where d.experiment_no = any(:experiments)
order by d.experiment_no, d.name, d.digest, i.context limit :limit;

-- name: put_model
insert into tracking_run_model (run_no, role, model_id, step) values (:run_no, :role, :model_id, :step)
on conflict (run_no, role, model_id) do update set step = excluded.step;

-- name: models
select run_no, role, model_id, step from tracking_run_model
where run_no in (select value from json_each(:runs)) order by run_no, role, step, model_id;
-- name: models @postgresql
select run_no, role, model_id, step from tracking_run_model
where run_no = any(:runs) order by run_no, role, step, model_id;

-- name: purge_params
delete from tracking_run_param where run_no in (select value from json_each(:runs));
-- name: purge_params @postgresql
delete from tracking_run_param where run_no = any(:runs);

-- name: purge_tags
delete from tracking_run_tag where run_no in (select value from json_each(:runs));
-- name: purge_tags @postgresql
delete from tracking_run_tag where run_no = any(:runs);

-- name: purge_inputs
delete from tracking_run_dataset where run_no in (select value from json_each(:runs));
-- name: purge_inputs @postgresql
delete from tracking_run_dataset where run_no = any(:runs);

-- name: purge_models
delete from tracking_run_model where run_no in (select value from json_each(:runs));
-- name: purge_models @postgresql
delete from tracking_run_model where run_no = any(:runs);

-- name: purge_runs
delete from tracking_run where no in (select value from json_each(:runs));
-- name: purge_runs @postgresql
delete from tracking_run where no = any(:runs);

-- name: heads_of_experiment
select no, id, experiment_no, name, status, started_us, ended_us, owner, state, artifact_uri
from tracking_run where experiment_no = :experiment_no order by no limit :limit;

-- name: experiments_of
select id, experiment_no from tracking_run where id in (select value from json_each(:ids));
-- name: experiments_of @postgresql
select id, experiment_no from tracking_run where id = any(:ids);

-- name: count_of_experiment
select count(*) from tracking_run where experiment_no = :experiment_no;
