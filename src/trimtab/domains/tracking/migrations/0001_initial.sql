create table tracking_experiment (
  no $identity,
  name text not null unique,
  artifact_location text not null,
  state text not null,
  created_us bigint not null,
  updated_us bigint not null,
  deleted_us bigint
);
create table tracking_experiment_tag (
  experiment_no bigint not null,
  key text not null,
  value text not null,
  primary key (experiment_no, key)
) $without_rowid;

-- Names of metrics, parameters and tags, so that the large tables hold numbers.
create table tracking_key (
  no $identity,
  name text not null unique
);

create table tracking_run (
  no $identity,
  id text not null unique,
  experiment_no bigint not null,
  name text not null,
  status text not null,
  started_us bigint not null,
  ended_us bigint,
  owner text not null,
  state text not null,
  artifact_uri text not null,
  deleted_us bigint
);
create index tracking_run_listing on tracking_run (experiment_no, started_us desc, id);

create table tracking_run_param (
  run_no bigint not null,
  key_no bigint not null,
  value text not null,
  primary key (run_no, key_no)
) $without_rowid;
create table tracking_run_tag (
  run_no bigint not null,
  key_no bigint not null,
  value text not null,
  primary key (run_no, key_no)
) $without_rowid;

-- Kind 0 is a finite value; 1 is NaN and its value 0; 2 is an infinity, whose value is the largest double of its sign.
create table tracking_metric_point (
  run_no bigint not null,
  key_no bigint not null,
  at_us bigint not null,
  step bigint not null,
  value double precision not null,
  kind smallint not null,
  primary key (run_no, key_no, at_us, step, value, kind)
) $without_rowid;
create table tracking_metric_latest (
  run_no bigint not null,
  key_no bigint not null,
  value double precision not null,
  kind smallint not null,
  step bigint not null,
  at_us bigint not null,
  primary key (run_no, key_no)
) $without_rowid;

create table tracking_dataset (
  no $identity,
  experiment_no bigint not null,
  name text not null,
  digest text not null,
  source_type text not null,
  source text not null,
  schema text,
  profile text,
  unique (experiment_no, name, digest)
);
-- The context stands apart from the other tags because searches ask for it.
create table tracking_run_dataset (
  run_no bigint not null,
  dataset_no bigint not null,
  context text,
  tags text not null,
  primary key (run_no, dataset_no)
) $without_rowid;
create index tracking_run_dataset_by_dataset on tracking_run_dataset (dataset_no, run_no);
create table tracking_run_model (
  run_no bigint not null,
  role text not null,
  model_id text not null,
  step bigint not null,
  primary key (run_no, role, model_id)
) $without_rowid;

create table tracking_logged_model (
  id text not null primary key,
  experiment_no bigint not null,
  name text not null,
  model_type text,
  source_run_id text,
  status text not null,
  state text not null,
  artifact_uri text not null,
  created_us bigint not null,
  updated_us bigint not null,
  deleted_us bigint
);
create index tracking_logged_model_listing on tracking_logged_model (experiment_no, created_us desc, id);
create index tracking_logged_model_by_run on tracking_logged_model (source_run_id);
create table tracking_logged_model_tag (
  model_id text not null,
  key text not null,
  value text not null,
  primary key (model_id, key)
) $without_rowid;
create table tracking_logged_model_param (
  model_id text not null,
  key text not null,
  value text not null,
  primary key (model_id, key)
) $without_rowid;
create table tracking_logged_model_metric (
  model_id text not null,
  key text not null,
  at_us bigint not null,
  step bigint not null,
  run_id text not null,
  dataset_name text not null,
  dataset_digest text not null,
  value double precision not null,
  kind smallint not null,
  primary key (model_id, key, at_us, step, run_id, dataset_name, dataset_digest, value, kind)
) $without_rowid;

-- @sqlite
create table tracking_artifact (
  path text not null primary key,
  folder text not null,
  blob text not null,
  size_bytes bigint not null,
  created_us bigint not null
);
-- @postgresql
create table tracking_artifact (
  path text collate "C" not null primary key,
  folder text collate "C" not null,
  blob text not null,
  size_bytes bigint not null,
  created_us bigint not null
);
-- @all
create index tracking_artifact_folder on tracking_artifact (folder, path);

-- The experiment that clients use when they name none.
insert into tracking_experiment (no, name, artifact_location, state, created_us, updated_us)
-- @sqlite
select 0, 'Default', 'mlflow-artifacts:/0', 'active', cast(strftime('%s', 'now') as integer) * 1000000,
  cast(strftime('%s', 'now') as integer) * 1000000
-- @postgresql
select 0, 'Default', 'mlflow-artifacts:/0', 'active', cast(extract(epoch from now()) * 1000000 as bigint),
  cast(extract(epoch from now()) * 1000000 as bigint)
-- @all
;
