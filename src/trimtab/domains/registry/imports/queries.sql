-- name: set_model_times
update registry_model set created_us = :created_us, updated_us = :updated_us where name = :name;

-- name: number_from
update registry_model set last_version = :number where name = :name and last_version <= :number;

-- name: last_number
select last_version from registry_model where name = :name and deleted_us is null;

-- name: set_version_times
update registry_version set created_us = :created_us, updated_us = :updated_us
where model = :name and version = :version;
