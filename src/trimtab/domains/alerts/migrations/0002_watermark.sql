create table alerts_watermark (
  dedupe_key text not null primary key,
  seq bigint not null
);
