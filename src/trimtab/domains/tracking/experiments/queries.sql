-- name: insert_experiment
insert into tracking_experiment (name, artifact_location, state, created_us, updated_us)
values (:name, :artifact_location, 'active', :now_us, :now_us)
on conflict (name) do nothing
returning no;

-- name: set_location
update tracking_experiment set artifact_location = :artifact_location where no = :no;

-- name: experiment
select no, name, artifact_location, state, created_us, updated_us from tracking_experiment where no = :no;

-- name: experiment_by_name
select no, name, artifact_location, state, created_us, updated_us from tracking_experiment where name = :name;

-- name: experiments
select e.no, e.name, e.artifact_location, e.state, e.created_us, e.updated_us
from tracking_experiment e {where} order by {order} limit :limit;

-- name: rename
update tracking_experiment set name = :name, updated_us = :now_us where no = :no;

-- name: set_state
update tracking_experiment set state = :state, updated_us = :now_us, deleted_us = :deleted_us where no = :no;

-- name: tags
select experiment_no, key, value from tracking_experiment_tag
where experiment_no in (select value from json_each(:experiments)) order by experiment_no, key;
-- name: tags @postgresql
select experiment_no, key, value from tracking_experiment_tag
where experiment_no = any(:experiments) order by experiment_no, key;

-- name: put_tag
insert into tracking_experiment_tag (experiment_no, key, value) values (:experiment_no, :key, :value)
on conflict (experiment_no, key) do update set value = excluded.value;

-- name: delete_tag
delete from tracking_experiment_tag where experiment_no = :experiment_no and key = :key;

-- name: purge_tags
delete from tracking_experiment_tag where experiment_no = :no;

-- name: purge_datasets
delete from tracking_dataset where experiment_no = :no;

-- name: purge_experiment
delete from tracking_experiment where no = :no;
