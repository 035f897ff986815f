create table monitor_monitor (
  name text not null primary key,
  endpoint text not null,
  reference text not null,
  features text not null,
  group_by text,
  policy text not null,
  baseline text not null,
  champion text,
  state text not null,
  problem text,
  reference_rows bigint not null,
  sketch text not null,
  drift_state text not null,
  loss_state text not null,
  watermark_us bigint not null,
  label_watermark_us bigint not null,
  created_us bigint not null,
  updated_us bigint not null
);
create index monitor_monitor_endpoint on monitor_monitor (endpoint);

create table monitor_window (
  monitor text not null,
  start_us bigint not null,
  end_us bigint not null,
  reference text not null,
  rows bigint not null,
  errors bigint not null,
  labelled bigint not null,
  versions text not null,
  counts text not null,
  counted bigint not null,
  drift text not null,
  performance text not null,
  closed bigint not null,
  primary key (monitor, start_us)
);

create table monitor_losses (
  monitor text not null,
  start_us bigint not null,
  rows bigint not null,
  mass text not null,
  used bigint not null,
  primary key (monitor, start_us)
);

create table monitor_part (
  id text not null primary key,
  endpoint text not null,
  kind text not null,
  blob text not null,
  rows bigint not null,
  min_id text not null,
  max_id text not null,
  min_event_us bigint not null,
  max_event_us bigint not null,
  created_us bigint not null
);
create index monitor_part_event on monitor_part (endpoint, kind, min_event_us);
create index monitor_part_ids on monitor_part (kind, min_id);

create table monitor_segment (
  name text not null primary key,
  at_us bigint not null
);

create table monitor_trial (
  rollout text not null primary key,
  endpoint text not null,
  champion text not null,
  challenger text not null,
  state text not null,
  action text not null
);
