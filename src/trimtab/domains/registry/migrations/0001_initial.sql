-- A deleted or renamed model leaves its row as a tombstone, so that its version numbers are never given again.
create table registry_model (
  name text not null primary key,
  description text not null,
  created_us bigint not null,
  created_by text not null,
  updated_us bigint not null,
  last_version bigint not null,
  deleted_us bigint
);

create table registry_model_tag (
  model text not null,
  key text not null,
  value text not null,
  primary key (model, key)
) $without_rowid;

create table registry_version (
  model text not null,
  version bigint not null,
  created_us bigint not null,
  created_by text not null,
  updated_us bigint not null,
  stage text not null,
  source text not null,
  location text,
  run_id text,
  run_link text,
  model_id text,
  description text not null,
  format text not null,
  safe bigint not null,
  digest text not null,
  size_bytes bigint not null,
  files bigint not null,
  facts text not null,
  metrics text not null,
  data text not null,
  primary key (model, version)
);
create index registry_version_run on registry_version (run_id);
create index registry_version_stage on registry_version (model, stage, version);
create index registry_version_updated on registry_version (updated_us, model, version);

create table registry_version_tag (
  model text not null,
  version bigint not null,
  key text not null,
  value text not null,
  primary key (model, version, key)
) $without_rowid;

create table registry_version_file (
  model text not null,
  version bigint not null,
  path text not null,
  blob text not null,
  size_bytes bigint not null,
  primary key (model, version, path)
) $without_rowid;
create index registry_version_file_blob on registry_version_file (blob);

create table registry_alias (
  model text not null,
  alias text not null,
  version bigint not null,
  primary key (model, alias)
) $without_rowid;

create table registry_alias_move (
  seq $identity,
  model text not null,
  alias text not null,
  version bigint,
  previous bigint,
  at_us bigint not null,
  actor text not null,
  reason text not null,
  evidence text not null
);
create index registry_alias_move_model on registry_alias_move (model, seq);

create table registry_gate (
  id text not null primary key,
  model text not null,
  version bigint not null,
  at_us bigint not null,
  actor text not null,
  verdict text not null,
  champion bigint,
  checks text not null,
  evidence text not null
);
create index registry_gate_version on registry_gate (model, version, id);
