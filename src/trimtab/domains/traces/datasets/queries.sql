-- name: insert_dataset
insert into traces_dataset (id, name, schema, profile, digest, created_us, updated_us, created_by, updated_by)
values (:id, :name, null, null, :digest, :now_us, :now_us, :user_id, :user_id);

-- name: dataset
select d.id, d.name, d.schema, d.profile, d.digest, d.created_us, d.updated_us, d.created_by, d.updated_by
from traces_dataset d where d.id = :id and d.deleted_us is null;

-- name: datasets
select d.id, d.name, d.schema, d.profile, d.digest, d.created_us, d.updated_us, d.created_by, d.updated_by{columns}
from traces_dataset d {where} order by {order} limit :limit;

-- name: update_dataset
update traces_dataset set schema = :schema, profile = :profile, digest = :digest, updated_us = :updated_us,
  updated_by = :updated_by where id = :id;

-- name: set_deleted
update traces_dataset set deleted_us = :deleted_us where id = :id;

-- name: tags
select dataset_id, key, value from traces_dataset_tag where dataset_id in (select value from json_each(:datasets))
order by key;
-- name: tags @postgresql
select dataset_id, key, value from traces_dataset_tag where dataset_id = any(:datasets) order by key;

-- name: put_tag
insert into traces_dataset_tag (dataset_id, key, value) values (:dataset_id, :key, :value)
on conflict (dataset_id, key) do update set value = excluded.value;

-- name: delete_tag
delete from traces_dataset_tag where dataset_id = :dataset_id and key = :key;

-- name: experiments
select dataset_id, experiment_id from traces_dataset_experiment
where dataset_id in (select value from json_each(:datasets)) order by added_us, experiment_id;
-- name: experiments @postgresql
select dataset_id, experiment_id from traces_dataset_experiment
where dataset_id = any(:datasets) order by added_us, experiment_id;

-- name: add_experiment
insert into traces_dataset_experiment (dataset_id, experiment_id, added_us)
values (:dataset_id, :experiment_id, :now_us) on conflict (dataset_id, experiment_id) do nothing;

-- name: remove_experiment
delete from traces_dataset_experiment where dataset_id = :dataset_id and experiment_id = :experiment_id;

-- name: records
select r.id, r.dataset_id, r.inputs, r.outputs, r.expectations, r.tags, r.source, r.source_id, r.source_type,
  r.created_us, r.updated_us, r.created_by, r.updated_by
from traces_record r {where} order by r.created_us, r.id limit :limit;

-- name: records_by_hash
select r.input_hash, r.id, r.dataset_id, r.inputs, r.outputs, r.expectations, r.tags, r.source, r.source_id,
  r.source_type, r.created_us, r.updated_us, r.created_by, r.updated_by
from traces_record r where r.dataset_id = :dataset_id and r.input_hash in (select value from json_each(:hashes));
-- name: records_by_hash @postgresql
select r.input_hash, r.id, r.dataset_id, r.inputs, r.outputs, r.expectations, r.tags, r.source, r.source_id,
  r.source_type, r.created_us, r.updated_us, r.created_by, r.updated_by
from traces_record r where r.dataset_id = :dataset_id and r.input_hash = any(:hashes);

-- name: put_record
insert into traces_record (id, dataset_id, input_hash, inputs, outputs, expectations, tags, source, source_id,
  source_type, created_us, updated_us, created_by, updated_by)
values (:id, :dataset_id, :input_hash, :inputs, :outputs, :expectations, :tags, :source, :source_id, :source_type,
  :created_us, :updated_us, :created_by, :updated_by)
on conflict (dataset_id, input_hash) do update set outputs = excluded.outputs, expectations = excluded.expectations,
  tags = excluded.tags, source = excluded.source, source_id = excluded.source_id,
  source_type = excluded.source_type, updated_us = excluded.updated_us, updated_by = excluded.updated_by;

-- name: delete_records
delete from traces_record where dataset_id = :dataset_id and id in (select value from json_each(:records));
-- name: delete_records @postgresql
delete from traces_record where dataset_id = :dataset_id and id = any(:records);

-- name: count_records
select count(*) from traces_record where dataset_id = :dataset_id;

-- name: purgeable
select id from traces_dataset where deleted_us < :before_us order by deleted_us, id limit :limit;
-- name: purge_datasets
delete from traces_dataset where id in (select value from json_each(:datasets));
-- name: purge_datasets @postgresql
delete from traces_dataset where id = any(:datasets);
-- name: purge_tags
delete from traces_dataset_tag where dataset_id in (select value from json_each(:datasets));
-- name: purge_tags @postgresql
delete from traces_dataset_tag where dataset_id = any(:datasets);
-- name: purge_experiments
delete from traces_dataset_experiment where dataset_id in (select value from json_each(:datasets));
-- name: purge_experiments @postgresql
delete from traces_dataset_experiment where dataset_id = any(:datasets);
-- name: purge_records
delete from traces_record where dataset_id in (select value from json_each(:datasets));
-- name: purge_records @postgresql
delete from traces_record where dataset_id = any(:datasets);
