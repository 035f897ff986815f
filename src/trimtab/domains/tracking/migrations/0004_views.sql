-- How people look at a page, under a name. The state belongs to the page; an empty experiment fits any.
create table tracking_view (
  id text not null primary key,
  name text not null,
  page text not null,
  experiment_id text not null,
  state text not null,
  owner_id text not null,
  owner text not null,
  shared smallint not null,
  updated_us bigint not null
);
create index tracking_view_listing on tracking_view (page, experiment_id, name);
