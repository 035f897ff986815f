-- What is set for an endpoint beside its traffic; one that nobody changed has no row.
create table deploy_settings (
  endpoint text not null primary key,
  settings text not null,
  updated_us bigint not null,
  updated_by text not null
);
