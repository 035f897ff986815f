create table loop_gc (
  id text not null primary key,
  dry_run bigint not null,
  older_than_us bigint not null,
  compact bigint not null,
  state text not null,
  created_us bigint not null,
  ended_us bigint,
  actor text not null,
  error text,
  report text not null
);
