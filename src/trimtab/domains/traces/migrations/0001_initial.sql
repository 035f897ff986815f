-- A trace as searches see it. Times are whole milliseconds, kept as microseconds.
create table traces_trace (
  no $identity,
  id text not null unique,
  experiment_no bigint not null,
  request_us bigint not null,
  duration_us bigint,
  state text not null,
  name text,
  session text,
  client_request_id text,
  request_preview text,
  response_preview text,
  input_tokens bigint,
  output_tokens bigint,
  total_tokens bigint,
  cache_read_tokens bigint,
  cache_write_tokens bigint,
  cache_write_hour_tokens bigint,
  input_cost double precision,
  output_cost double precision,
  total_cost double precision,
  root text,
  stated smallint not null,
  deleted_us bigint
);
create index traces_trace_listing on traces_trace (experiment_no, request_us desc, id);
create index traces_trace_session on traces_trace (experiment_no, session);
create index traces_trace_trash on traces_trace (deleted_us) where deleted_us is not null;

create table traces_tag (
  trace_no bigint not null,
  key text not null,
  value text not null,
  primary key (trace_no, key)
) $without_rowid;
create table traces_metadata (
  trace_no bigint not null,
  key text not null,
  value text not null,
  primary key (trace_no, key)
) $without_rowid;

-- What is counted and searched of a span; the whole of it is in a chunk.
create table traces_span (
  trace_no bigint not null,
  id text not null,
  name text not null,
  type text,
  status text not null,
  started_ns bigint not null,
  ended_ns bigint not null,
  model text,
  provider text,
  input_cost double precision,
  output_cost double precision,
  total_cost double precision,
  primary key (trace_no, id)
) $without_rowid;
-- Spans as lines of JSON, compressed together; a span that arrives again is in a later chunk.
create table traces_chunk (
  trace_no bigint not null,
  seq bigint not null,
  size_bytes bigint not null,
  content bytea not null,
  primary key (trace_no, seq)
) $without_rowid;

create table traces_run (
  run_id text not null,
  trace_no bigint not null,
  primary key (run_id, trace_no)
) $without_rowid;
create table traces_prompt (
  prompt text not null,
  trace_no bigint not null,
  primary key (prompt, trace_no)
) $without_rowid;

-- The value is JSON; number is what can be averaged of it, numeric says that the value itself is a number.
create table traces_assessment (
  id text not null primary key,
  trace_no bigint not null,
  name text not null,
  kind text not null,
  value text not null,
  error text,
  number double precision,
  numeric_value smallint not null,
  source_type text not null,
  source_id text,
  run_id text,
  span_id text,
  rationale text,
  overrides text,
  valid smallint not null,
  metadata text,
  session_wide smallint not null,
  created_us bigint not null,
  updated_us bigint not null
);
create index traces_assessment_trace on traces_assessment (trace_no, created_us);
create index traces_assessment_name on traces_assessment (name, kind);

create table traces_dataset (
  id text not null primary key,
  name text not null,
  schema text,
  profile text,
  digest text not null,
  created_us bigint not null,
  updated_us bigint not null,
  created_by text,
  updated_by text,
  deleted_us bigint
);
create index traces_dataset_name on traces_dataset (name);
create index traces_dataset_listing on traces_dataset (created_us desc, id desc);
create table traces_dataset_tag (
  dataset_id text not null,
  key text not null,
  value text not null,
  primary key (dataset_id, key)
) $without_rowid;
create table traces_dataset_experiment (
  dataset_id text not null,
  experiment_id text not null,
  added_us bigint not null,
  primary key (dataset_id, experiment_id)
) $without_rowid;
create index traces_dataset_experiment_back on traces_dataset_experiment (experiment_id);
create table traces_record (
  id text not null primary key,
  dataset_id text not null,
  input_hash text not null,
  inputs text not null,
  outputs text,
  expectations text,
  tags text,
  source text,
  source_id text,
  source_type text,
  created_us bigint not null,
  updated_us bigint not null,
  created_by text,
  updated_by text,
  unique (dataset_id, input_hash)
);
create index traces_record_listing on traces_record (dataset_id, created_us, id);
