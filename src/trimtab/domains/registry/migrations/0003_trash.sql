-- Deleted models and versions, each with all its rows as JSON, so that no other statement has to know of them.
create table registry_trash (
  ref text not null primary key,
  kind text not null,
  model text not null,
  version bigint,
  deleted_us bigint not null,
  deleted_by text not null,
  versions bigint not null,
  files bigint not null,
  size_bytes bigint not null,
  snapshot text not null
);
create index registry_trash_by_age on registry_trash (deleted_us, ref);
