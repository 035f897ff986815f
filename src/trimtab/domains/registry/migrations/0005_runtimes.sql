-- By the digest of a version's files: what has the same files runs in the same environment, whatever it is called.
create table registry_runtime (
  digest text not null primary key,
  state text not null,
  message text not null,
  asked text not null,
  python text not null,
  key text not null,
  lock_text text not null,
  trial text not null,
  took text not null,
  size_bytes bigint not null,
  allowed text not null,
  updated_us bigint not null,
  updated_by text not null
);
