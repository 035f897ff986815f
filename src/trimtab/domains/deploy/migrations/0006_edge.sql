create table deploy_edge (
  model text not null,
  alias text not null,
  endpoint text not null,
  reference text not null,
  state text not null,
  sequence bigint not null,
  version bigint,
  blob text,
  size_bytes bigint not null,
  error text,
  created_us bigint not null,
  updated_us bigint not null,
  created_by text not null,
  primary key (model, alias)
);

create table deploy_edge_device (
  model text not null,
  alias text not null,
  device text not null,
  sequence bigint not null,
  first_us bigint not null,
  last_us bigint not null,
  taken bigint not null,
  lost bigint not null,
  problem text,
  primary key (model, alias, device)
);

create table deploy_edge_key (
  id bigint not null primary key,
  public text not null,
  sealed text not null,
  created_us bigint not null
);
