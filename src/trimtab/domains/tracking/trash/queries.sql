-- name: put
insert into tracking_trash (ref, kind, name, experiment_no, deleted_us, deleted_by)
values (:ref, :kind, :name, :experiment_no, :deleted_us, :deleted_by)
on conflict (ref) do update set deleted_us = excluded.deleted_us, deleted_by = excluded.deleted_by;

-- name: take
delete from tracking_trash where ref = :ref;

-- name: take_runs
delete from tracking_trash where experiment_no = :experiment_no and kind = 'run';

-- name: take_all
delete from tracking_trash where experiment_no = :experiment_no;

-- name: item
select ref, kind, name, experiment_no, deleted_us, deleted_by from tracking_trash where ref = :ref;

-- name: items
select ref, kind, name, experiment_no, deleted_us, deleted_by from tracking_trash
{where} order by deleted_us desc, ref desc limit :limit;

-- name: due
select ref from tracking_trash where deleted_us < :before_us and ref > :after order by ref limit :limit;

-- name: insert_file
insert into tracking_trash_file (trash, path, blob, size_bytes, created_us)
values (:trash, :path, :blob, :size_bytes, :created_us);

-- name: files
select path, blob, size_bytes, created_us from tracking_trash_file where trash = :trash order by path;

-- name: files_size
select count(*), cast(coalesce(sum(size_bytes), 0) as bigint) from tracking_trash_file where trash = :trash;

-- name: delete_files
delete from tracking_trash_file where trash = :trash;

-- name: trashed_with
select ref from tracking_trash where experiment_no = :experiment_no and kind = 'artifact';

-- name: blobs
select blob from tracking_trash_file;

-- name: forget_import
delete from tracking_import_mark where ref = :ref;
