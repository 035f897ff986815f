create table alerts_alert (
  id text not null primary key,
  rule text not null,
  severity text not null,
  state text not null,
  title text not null,
  detail text not null,
  subject text not null,
  dedupe_key text not null,
  data text not null,
  episode_id text,
  opened_us bigint not null,
  updated_us bigint not null,
  count bigint not null,
  acknowledged_us bigint,
  acknowledged_by text,
  resolved_us bigint,
  resolved_by text,
  note text not null,
  cause text
);
create unique index alerts_alert_active on alerts_alert (dedupe_key) where state in ('open', 'acknowledged');
create index alerts_alert_key on alerts_alert (dedupe_key, id);
create index alerts_alert_state on alerts_alert (state, id);
create index alerts_alert_subject on alerts_alert (subject, id);
create index alerts_alert_episode on alerts_alert (episode_id);

create table alerts_rule (
  name text not null primary key,
  definition text not null,
  updated_us bigint not null,
  updated_by text not null
);

create table alerts_channel (
  name text not null primary key,
  kind text not null,
  url text not null,
  secret text not null,
  min_severity text not null,
  enabled bigint not null,
  created_us bigint not null,
  created_by text not null
);

create table alerts_delivery (
  id text not null primary key,
  channel text not null,
  alert_id text,
  kind text not null,
  body text not null,
  state text not null,
  attempts bigint not null,
  status_code bigint,
  error text,
  created_us bigint not null,
  updated_us bigint not null
);
create index alerts_delivery_channel on alerts_delivery (channel, id);
create index alerts_delivery_alert on alerts_delivery (alert_id);
create index alerts_delivery_created on alerts_delivery (created_us);
