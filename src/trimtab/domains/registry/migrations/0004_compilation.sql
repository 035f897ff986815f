-- Whether a version was compiled: the verdict with its evidence as JSON, and the blob of the compiled model.
create table registry_compilation (
  model text not null,
  version bigint not null,
  at_us bigint not null,
  state text not null,
  verdict text,
  blob text,
  size_bytes bigint not null,
  primary key (model, version)
) $without_rowid;
