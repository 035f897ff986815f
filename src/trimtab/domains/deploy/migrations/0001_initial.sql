create table deploy_endpoint (
  name text not null primary key,
  model text not null,
  created_us bigint not null,
  updated_us bigint not null,
  created_by text not null
);

create table deploy_served (
  endpoint text not null references deploy_endpoint (name) on delete cascade,
  version text not null,
  weight double precision not null,
  role text not null,
  state text not null,
  activate double precision,
  allow_pickle bigint not null,
  added_us bigint not null,
  error text,
  pid bigint,
  primary key (endpoint, version)
);

create table deploy_change (
  id text not null primary key,
  endpoint text not null,
  at_us bigint not null,
  actor text not null,
  action text not null,
  reason text not null,
  before text not null,
  after text not null,
  champion_before text,
  champion_after text
);
create index deploy_change_endpoint on deploy_change (endpoint, id);

create table deploy_rollout (
  id text not null primary key,
  endpoint text not null,
  champion text not null,
  challenger text not null,
  state text not null,
  policy text not null,
  steps text not null,
  judge text not null,
  judged_us bigint,
  started_us bigint not null,
  ended_us bigint,
  reason text not null,
  actor text not null,
  episode_id text
);
create index deploy_rollout_endpoint on deploy_rollout (endpoint, id);
create unique index deploy_rollout_running on deploy_rollout (endpoint) where state = 'running';

create table deploy_plane (
  id bigint not null primary key,
  generation bigint not null
);
insert into deploy_plane (id, generation) values (1, 1);
