create table jobs_job (
  id text not null primary key,
  kind text not null,
  queue text not null,
  payload text not null,
  state text not null,
  due_us bigint not null,
  attempts bigint not null,
  max_attempts bigint not null,
  owner text,
  lease_until_us bigint,
  dedupe_key text,
  progress double precision,
  note text,
  error text,
  created_us bigint not null,
  started_us bigint,
  ended_us bigint
);
create index jobs_job_due on jobs_job (queue, state, due_us, id);
create index jobs_job_state on jobs_job (state, ended_us);
create unique index jobs_job_dedupe on jobs_job (kind, dedupe_key) where state in ('queued', 'running');

create table jobs_schedule (
  name text not null primary key,
  kind text not null,
  queue text not null,
  payload text not null,
  cron text,
  every_us bigint,
  next_us bigint not null
);
