create table bus_event (
  seq $identity,
  id text not null unique,
  kind text not null,
  at_us bigint not null,
  subject text not null,
  actor text not null,
  data text not null
);
create index bus_event_subject on bus_event (subject, seq);
create index bus_event_at on bus_event (at_us);
