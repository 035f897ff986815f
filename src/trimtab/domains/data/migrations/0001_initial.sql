create table data_dataset (
  name text not null primary key,
  created_us bigint not null,
  created_by text not null,
  updated_us bigint not null,
  last_version bigint not null
);

create table data_version (
  dataset text not null,
  version bigint not null,
  digest text not null,
  manifest text not null,
  file_count bigint not null,
  size_bytes bigint not null,
  message text not null,
  created_us bigint not null,
  created_by text not null,
  derived_from text not null,
  validation_state text not null,
  rows_total bigint,
  suite_version bigint,
  profiled_us bigint,
  profile text,
  sketches text,
  columns text not null,
  checks text not null,
  problem text,
  removed_us bigint,
  primary key (dataset, version)
);
create index data_version_pending on data_version (dataset, validation_state);

create table data_suite (
  dataset text not null,
  version bigint not null,
  expectations text not null,
  created_us bigint not null,
  created_by text not null,
  inferred_from bigint,
  primary key (dataset, version)
);
