-- What was deleted and can come back, from a run to a folder of artifacts. Runs that went with their experiment have no
-- row of their own.
create table tracking_trash (
  ref text not null primary key,
  kind text not null,
  name text not null,
  experiment_no bigint not null,
  deleted_us bigint not null,
  deleted_by text not null
);
create index tracking_trash_by_age on tracking_trash (deleted_us, ref);
create index tracking_trash_by_experiment on tracking_trash (experiment_no);

-- The files of deleted artifacts; "trash" is the id in the reference of their row above.
create table tracking_trash_file (
  trash text not null,
  path text not null,
  blob text not null,
  size_bytes bigint not null,
  created_us bigint not null,
  primary key (trash, path)
) $without_rowid;

insert into tracking_trash (ref, kind, name, experiment_no, deleted_us, deleted_by)
select 'experiment:' || cast(no as text), 'experiment', name, no, coalesce(deleted_us, updated_us), ''
from tracking_experiment where state = 'deleted';
insert into tracking_trash (ref, kind, name, experiment_no, deleted_us, deleted_by)
select 'run:' || r.id, 'run', r.name, r.experiment_no, coalesce(r.deleted_us, r.started_us), ''
from tracking_run r join tracking_experiment e on e.no = r.experiment_no
where r.state = 'deleted' and e.state = 'active';
insert into tracking_trash (ref, kind, name, experiment_no, deleted_us, deleted_by)
select 'logged-model:' || id, 'logged-model', name, experiment_no, coalesce(deleted_us, updated_us), ''
from tracking_logged_model where state = 'deleted';

-- Uploads in parts. "blob" is what became of one that was completed.
create table tracking_upload (
  id text not null primary key,
  path text not null,
  parts bigint not null,
  secret_digest text not null,
  blob text,
  created_us bigint not null,
  created_by text not null
);
