-- What may not be purged, by reference, and why.
create table govern_hold (
  ref text not null primary key,
  reason text not null,
  placed_us bigint not null,
  placed_by text not null
);
