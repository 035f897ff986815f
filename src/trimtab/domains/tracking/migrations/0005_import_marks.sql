-- What was brought in from elsewhere, and how it looked there when it was complete here; an unchanged one is skipped.
create table tracking_import_mark (
  ref text not null primary key,
  fingerprint text not null,
  origin text not null,
  at_us bigint not null
);
