-- name: models
select m.name, m.description, m.created_us, m.created_by, m.updated_us,
  (select max(v.version) from registry_version v where v.model = m.name)
from registry_model m {where} {order} limit :limit;

-- name: model_names
select name from registry_model where deleted_us is null order by updated_us desc limit :limit;

-- name: insert_model
insert into registry_model (name, description, created_us, created_by, updated_us, last_version)
values (:name, :description, :created_us, :created_by, :updated_us, :last_version)
on conflict (name) do update set description = excluded.description, created_us = excluded.created_us,
  created_by = excluded.created_by, updated_us = excluded.updated_us, deleted_us = null,
  last_version = case when registry_model.last_version > excluded.last_version
    then registry_model.last_version else excluded.last_version end
where registry_model.deleted_us is not null;

-- name: last_version
select last_version, created_by from registry_model where name = :name and deleted_us is null;

-- name: take_version
update registry_model set last_version = last_version + 1, updated_us = :now_us
where name = :name and deleted_us is null returning last_version;

-- name: touch_model
update registry_model set updated_us = :now_us where name = :name and deleted_us is null;

-- name: describe_model
update registry_model set description = :description, updated_us = :now_us
where name = :name and deleted_us is null;

-- name: bury_model
update registry_model set description = '', deleted_us = :now_us where name = :name and deleted_us is null;

-- name: rename_versions
update registry_version set model = :new_name, updated_us = :now_us where model = :name;

-- name: rename_model_tags
update registry_model_tag set model = :new_name where model = :name;

-- name: rename_version_tags
update registry_version_tag set model = :new_name where model = :name;

-- name: rename_files
update registry_version_file set model = :new_name where model = :name;

-- name: rename_aliases
update registry_alias set model = :new_name where model = :name;

-- name: rename_alias_moves
update registry_alias_move set model = :new_name where model = :name;

-- name: rename_gates
update registry_gate set model = :new_name where model = :name;

-- name: rename_scans
update registry_scan set model = :new_name where model = :name;

-- name: rename_compilations
update registry_compilation set model = :new_name where model = :name;

-- name: rename_estimates
update registry_estimate set model = :new_name where model = :name;

-- name: rename_environments
update registry_environment set model = :new_name where model = :name;

-- name: delete_model_tags
delete from registry_model_tag where model = :name;

-- name: model_tags
select model, key, value from registry_model_tag {where} order by model, key;

-- name: set_model_tag
insert into registry_model_tag (model, key, value) values (:model, :key, :value)
on conflict (model, key) do update set value = excluded.value;

-- name: delete_model_tag
delete from registry_model_tag where model = :model and key = :key;

-- name: versions
select v.model, v.version, v.created_us, v.created_by, v.updated_us, v.stage, v.source, v.location, v.run_id,
  v.run_link, v.model_id, v.description, v.format, v.safe, v.digest, v.size_bytes, v.files, v.facts, v.metrics, v.data
from registry_version v {where} {order} limit :limit;

-- name: stage_ends
select m.name,
  (select max(v.version) from registry_version v where v.model = m.name and v.stage = s.stage),
  (select min(v.version) from registry_version v where v.model = m.name and v.stage = s.stage)
from registry_model m
cross join (
  select 'None' as stage union all select 'Staging' union all select 'Production' union all select 'Archived'
) s {where};

-- name: version_numbers
select version from registry_version where model = :model order by version;

-- name: versions_of_run
select model, version from registry_version where run_id = :run_id order by model, version;

-- name: insert_version
insert into registry_version (model, version, created_us, created_by, updated_us, stage, source, location, run_id,
  run_link, model_id, description, format, safe, digest, size_bytes, files, facts, metrics, data)
values (:model, :version, :created_us, :created_by, :updated_us, :stage, :source, :location, :run_id,
  :run_link, :model_id, :description, :format, :safe, :digest, :size_bytes, :files, :facts, :metrics, :data);

-- name: version_of_digest
select model, version from registry_version where digest = :digest order by model, version limit 1;

-- name: describe_version
update registry_version set description = :description, updated_us = :now_us
where model = :model and version = :version;

-- name: set_stage
update registry_version set stage = :stage, updated_us = :now_us where model = :model and version = :version;

-- name: archive_others
update registry_version set stage = 'Archived', updated_us = :now_us
where model = :model and version <> :version and stage = :stage returning version;

-- name: set_run_facts
update registry_version set metrics = :metrics, data = :data where model = :model and version = :version;

-- name: delete_versions
delete from registry_version {where};

-- name: version_tags
select model, version, key, value from registry_version_tag {where} order by model, version, key;

-- name: set_version_tag
insert into registry_version_tag (model, version, key, value) values (:model, :version, :key, :value)
on conflict (model, version, key) do update set value = excluded.value;

-- name: delete_version_tag
delete from registry_version_tag where model = :model and version = :version and key = :key;

-- name: delete_version_tags
delete from registry_version_tag {where};

-- name: insert_file
insert into registry_version_file (model, version, path, blob, size_bytes)
values (:model, :version, :path, :blob, :size_bytes);

-- name: files
select path, blob, size_bytes from registry_version_file where model = :model and version = :version order by path;

-- name: file
select path, blob, size_bytes from registry_version_file
where model = :model and version = :version and path = :path;

-- name: delete_files
delete from registry_version_file {where};

-- name: every_blob
select distinct blob from registry_version_file;

-- name: delete_gates
delete from registry_gate {where};

-- name: delete_scans
delete from registry_scan {where};

-- name: delete_compilations
delete from registry_compilation {where};

-- name: delete_estimates
delete from registry_estimate {where};

-- name: aliases
select model, alias, version from registry_alias {where} order by model, alias;
