-- name: get
select state, at_us, size_bytes, verdict, blob from registry_compilation where model = :model and version = :version;

-- name: of_digest
select c.state, c.at_us, c.size_bytes, c.verdict, c.blob
from registry_compilation c join registry_version v on v.model = c.model and v.version = c.version
where v.digest = :digest and c.state in ('compiled', 'differs', 'unsupported')
order by c.at_us desc limit 1;

-- name: begin
insert into registry_compilation (model, version, at_us, state, verdict, blob, size_bytes)
values (:model, :version, :at_us, 'pending', null, null, 0)
on conflict (model, version) do update set at_us = excluded.at_us, state = 'pending';

-- name: put
insert into registry_compilation (model, version, at_us, state, verdict, blob, size_bytes)
values (:model, :version, :at_us, :state, :verdict, :blob, :size_bytes)
on conflict (model, version) do update
set at_us = excluded.at_us, state = excluded.state, verdict = excluded.verdict, blob = excluded.blob,
  size_bytes = excluded.size_bytes;

-- name: blobs
select distinct blob from registry_compilation where blob is not null;
