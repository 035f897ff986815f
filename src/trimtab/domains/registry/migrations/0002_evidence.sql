create index registry_version_digest on registry_version (digest);

create table registry_scan (
  model text not null,
  version bigint not null,
  at_us bigint not null,
  verdict text not null,
  findings text not null,
  primary key (model, version)
) $without_rowid;

create table registry_estimate (
  model text not null,
  version bigint not null,
  key text not null,
  data text not null,
  estimate double precision not null,
  low double precision,
  high double precision,
  level double precision not null,
  method text not null,
  row_count bigint,
  at_us bigint not null,
  actor text not null,
  primary key (model, version, key, data)
) $without_rowid;

create table registry_environment (
  model text not null,
  name text not null,
  place bigint not null,
  move text not null,
  after text,
  needs_gate bigint not null,
  verdicts text not null,
  primary key (model, name)
) $without_rowid;

create table registry_webhook (
  id text not null primary key,
  name text not null,
  description text,
  url text not null,
  secret text,
  status text not null,
  created_us bigint not null,
  created_by text not null,
  updated_us bigint not null
);
create index registry_webhook_created on registry_webhook (created_us, id);

create table registry_webhook_event (
  webhook text not null,
  entity text not null,
  action text not null,
  place bigint not null,
  primary key (webhook, entity, action)
) $without_rowid;
create index registry_webhook_event_kind on registry_webhook_event (entity, action, webhook);

create table registry_webhook_delivery (
  id text not null primary key,
  webhook text not null,
  entity text not null,
  action text not null,
  body text not null,
  state text not null,
  attempts bigint not null,
  status_code bigint,
  error text,
  created_us bigint not null,
  updated_us bigint not null
);
create index registry_webhook_delivery_webhook on registry_webhook_delivery (webhook, id);
create index registry_webhook_delivery_created on registry_webhook_delivery (created_us);
