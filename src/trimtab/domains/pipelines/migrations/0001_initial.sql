create table pipelines_pipeline (
  name text not null primary key,
  version bigint not null,
  entry text not null,
  source_blob text not null,
  spec text not null,
  created_us bigint not null,
  updated_us bigint not null,
  updated_by text not null,
  cron text,
  cron_params text not null
);

create table pipelines_run (
  id text not null primary key,
  pipeline text not null,
  pipeline_version bigint not null,
  entry text not null,
  source_blob text not null,
  params text not null,
  trigger_data text not null,
  submitted_by text not null,
  state text not null,
  created_us bigint not null,
  started_us bigint,
  ended_us bigint,
  cancel_us bigint,
  outputs text not null,
  error text,
  job_id text not null,
  fence bigint not null,
  token_id text,
  plan text,
  idempotency_key text
);
create index pipelines_run_pipeline on pipelines_run (pipeline, id);
create index pipelines_run_state on pipelines_run (state, id);
create unique index pipelines_run_idempotency on pipelines_run (idempotency_key);

create table pipelines_step (
  run_id text not null,
  position bigint not null,
  name text not null,
  state text not null,
  cached bigint not null,
  attempt bigint not null,
  failures bigint not null,
  due_us bigint not null,
  started_us bigint,
  ended_us bigint,
  needs text not null,
  error text,
  value text,
  log_tail text not null,
  log_blob text,
  primary key (run_id, name)
);

create table pipelines_cache (
  cache_key text not null primary key,
  result text not null,
  run_id text not null,
  step text not null,
  created_us bigint not null,
  used_us bigint not null
);
create index pipelines_cache_used on pipelines_cache (used_us);
