create table loop_policy (
  endpoint text not null primary key,
  policy text not null,
  updated_us bigint not null,
  updated_by text not null
);

create table loop_episode (
  id text not null primary key,
  endpoint text not null,
  model text not null,
  trigger_kind text not null,
  state text not null,
  title text not null,
  event_us bigint not null,
  not_before_us bigint not null,
  champion text,
  candidate text,
  evaluation text,
  champion_evaluation text,
  reference text,
  pipeline_run text,
  rollout text,
  baseline text not null,
  actor text not null,
  started_us bigint not null,
  updated_us bigint not null,
  ended_us bigint
);
create index loop_episode_endpoint on loop_episode (endpoint, id);
create index loop_episode_rollout on loop_episode (rollout);
create unique index loop_episode_active on loop_episode (endpoint) where ended_us is null;

create table loop_step (
  id text not null primary key,
  seq bigint not null,
  at_us bigint not null,
  event_us bigint,
  kind text not null,
  state text not null,
  title text not null,
  detail text not null,
  subject text not null,
  episode_id text,
  cause_id text,
  actor text not null,
  data text not null
);
create unique index loop_step_seq on loop_step (seq);
create index loop_step_episode on loop_step (episode_id, seq);
create index loop_step_subject on loop_step (subject, seq);
