-- name: rows
select {columns} from {table} {where};

-- name: put_back
insert into {table} ({columns}) values ({values});

-- name: put
insert into registry_trash
  (ref, kind, model, version, deleted_us, deleted_by, versions, files, size_bytes, snapshot)
values
  (:ref, :kind, :model, :version, :deleted_us, :deleted_by, :versions, :files, :size_bytes, :snapshot);

-- name: item
select ref, kind, model, version, deleted_us, deleted_by, versions, files, size_bytes
from registry_trash where ref = :ref;

-- name: items
select ref, kind, model, version, deleted_us, deleted_by, versions, files, size_bytes
from registry_trash {where} order by deleted_us desc, ref desc limit :limit;

-- name: due
select ref from registry_trash where deleted_us < :before_us and ref > :after order by ref limit :limit;

-- name: snapshot
select snapshot from registry_trash where ref = :ref;

-- name: refs
select ref from registry_trash order by ref;

-- name: take
delete from registry_trash where ref = :ref;
