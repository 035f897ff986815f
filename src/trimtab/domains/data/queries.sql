-- name: put_dataset
insert into data_dataset (name, created_us, created_by, updated_us, last_version)
values (:name, :now_us, :created_by, :now_us, :version)
on conflict (name) do update set updated_us = excluded.updated_us, last_version = excluded.last_version;

-- name: touch_dataset
update data_dataset set updated_us = :now_us where name = :name;

-- name: last_version
select last_version from data_dataset where name = :name;

-- name: datasets
select d.name, v.version,
       (select count(*) from data_version c where c.dataset = d.name and c.removed_us is null),
       v.rows_total, v.size_bytes, v.validation_state, d.created_us, d.updated_us
from data_dataset d
join data_version v on v.dataset = d.name and v.version = (
  select max(n.version) from data_version n where n.dataset = d.name and n.removed_us is null)
{where} order by d.name limit :limit;

-- name: insert_version
insert into data_version (dataset, version, digest, manifest, file_count, size_bytes, message, created_us, created_by,
                          derived_from, validation_state, columns, checks)
values (:name, :version, :digest, :manifest, :file_count, :size_bytes, :message, :created_us, :created_by,
        :derived_from, :validation_state, '[]', '[]');

-- name: version
select dataset, version, digest, manifest, file_count, size_bytes, message, created_us, created_by, derived_from,
       validation_state, rows_total, suite_version, profiled_us
from data_version where dataset = :name and version = :version and removed_us is null;

-- name: latest
select dataset, version, digest, manifest, file_count, size_bytes, message, created_us, created_by, derived_from,
       validation_state, rows_total, suite_version, profiled_us
from data_version where dataset = :name and removed_us is null order by version desc limit 1;

-- name: versions
select dataset, version, digest, manifest, file_count, size_bytes, message, created_us, created_by, derived_from,
       validation_state, rows_total, suite_version, profiled_us
from data_version {where} order by version desc limit :limit;

-- name: pending
select version from data_version
where dataset = :name and version <= :upto and validation_state = 'pending' and removed_us is null order by version;

-- name: findings
select profile, sketches, columns, checks, problem from data_version where dataset = :name and version = :version;

-- name: twin_profile
select profile, sketches, columns, rows_total from data_version
where dataset = :name and digest = :digest and profile is not null and problem is null and removed_us is null
order by version desc limit 1;

-- name: kept_versions
select dataset, version, manifest, profile, sketches, removed_us from data_version
where removed_us is null or removed_us >= :removed_before_us or :held = 1;

-- name: record_findings
update data_version
set validation_state = :state, rows_total = :rows, suite_version = :suite_version, profiled_us = :now_us,
    profile = :profile, sketches = :sketches, columns = :columns, checks = :checks, problem = :problem
where dataset = :name and version = :version;

-- name: reopen
update data_version set validation_state = 'pending' where dataset = :name and version = :version;

-- name: remove_version
update data_version set removed_us = :now_us
where dataset = :name and version = :version and removed_us is null;

-- name: remove_versions
update data_version set removed_us = :now_us where dataset = :name and removed_us is null;

-- name: insert_suite
insert into data_suite (dataset, version, expectations, created_us, created_by, inferred_from)
values (:name, :version, :expectations, :created_us, :created_by, :inferred_from);

-- name: latest_suite
select dataset, version, expectations, created_us, created_by, inferred_from
from data_suite where dataset = :name order by version desc limit 1;

-- name: suite
select dataset, version, expectations, created_us, created_by, inferred_from
from data_suite where dataset = :name and version = :version;

-- name: remove_suites
delete from data_suite where dataset = :name;
