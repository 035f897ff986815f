-- name: get
select digest, state, message, asked, python, key, lock_text, trial, took, size_bytes, allowed, updated_us, updated_by
from registry_runtime where digest = :digest;

-- name: put
insert into registry_runtime
  (digest, state, message, asked, python, key, lock_text, trial, took, size_bytes, allowed, updated_us, updated_by)
values
  (:digest, :state, :message, :asked, :python, :key, :lock, :trial, :took, :size_bytes, :allowed, :updated_us, :updated_by)
on conflict (digest) do update
set state = excluded.state, message = excluded.message, asked = excluded.asked, python = excluded.python,
    key = excluded.key, lock_text = excluded.lock_text, trial = excluded.trial, took = excluded.took,
    size_bytes = excluded.size_bytes, allowed = excluded.allowed, updated_us = excluded.updated_us,
    updated_by = excluded.updated_by;

-- name: keys
select distinct r.key, r.digest from registry_runtime r join registry_version v on v.digest = r.digest where r.key <> '';

-- name: forget
delete from registry_runtime
where updated_us < :before_us and not exists (select 1 from registry_version v where v.digest = registry_runtime.digest);
