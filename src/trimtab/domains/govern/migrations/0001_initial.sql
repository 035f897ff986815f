create table govern_token (
  id text not null primary key,
  name text not null,
  role text not null,
  digest text not null unique,
  created_us bigint not null,
  created_by text not null,
  expires_us bigint,
  revoked_us bigint
);

create table govern_audit (
  seq bigint not null primary key,
  at_us bigint not null,
  actor text not null,
  action text not null,
  subject text not null,
  detail text not null,
  previous text not null,
  hash text not null
);
create index govern_audit_subject on govern_audit (subject, seq);

-- @sqlite
create trigger govern_audit_no_update before update on govern_audit
begin select raise(abort, 'the audit trail is append-only');
end;
create trigger govern_audit_no_delete before delete on govern_audit
begin select raise(abort, 'the audit trail is append-only');
end;
-- @postgresql
create function govern_audit_refuse() returns trigger language plpgsql as $$
begin raise exception 'the audit trail is append-only';
end $$;
create trigger govern_audit_append_only before update or delete on govern_audit
for each row execute function govern_audit_refuse();
-- @all
