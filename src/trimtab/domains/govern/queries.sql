-- name: insert_token
insert into govern_token (id, name, role, digest, created_us, created_by, expires_us, endpoints)
values (:id, :name, :role, :digest, :created_us, :created_by, :expires_us, :endpoints);

-- name: token_by_digest
select id, name, role, digest, created_us, created_by, expires_us, revoked_us, endpoints
from govern_token where digest = :digest;

-- name: tokens
select id, name, role, digest, created_us, created_by, expires_us, revoked_us, endpoints
from govern_token order by id desc;

-- name: revoke_token
update govern_token set revoked_us = :now_us where id = :id and revoked_us is null;

-- name: last_audit
select seq, hash from govern_audit order by seq desc limit 1;

-- name: insert_audit
insert into govern_audit (seq, at_us, actor, action, subject, detail, previous, hash)
values (:seq, :at_us, :actor, :action, :subject, :detail, :previous, :hash);

-- name: audit_after
select seq, at_us, actor, action, subject, detail, previous, hash
from govern_audit where seq > :seq order by seq limit :most;

-- name: audit_page
select seq, at_us, actor, action, subject, detail, previous, hash
from govern_audit {where} order by seq desc limit :limit;

-- name: tokens_in_force
select id, name, role, digest, created_us, created_by, expires_us, revoked_us, endpoints
from govern_token where revoked_us is null and (expires_us is null or expires_us > :now_us);

-- name: put_hold
insert into govern_hold (ref, reason, placed_us, placed_by) values (:ref, :reason, :placed_us, :placed_by)
on conflict (ref) do update
set reason = excluded.reason, placed_us = excluded.placed_us, placed_by = excluded.placed_by;

-- name: delete_hold
delete from govern_hold where ref = :ref;

-- name: holds
select ref, reason, placed_us, placed_by from govern_hold order by ref;
