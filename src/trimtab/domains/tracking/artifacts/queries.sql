-- name: put_artifact
insert into tracking_artifact (path, folder, blob, size_bytes, created_us)
values (:path, :folder, :blob, :size_bytes, :created_us)
on conflict (path) do update
set blob = excluded.blob, size_bytes = excluded.size_bytes, created_us = excluded.created_us;

-- name: artifact
select path, blob, size_bytes, created_us from tracking_artifact where path = :path;

-- name: files_among
select path from tracking_artifact where path in (select value from json_each(:paths)) limit 1;
-- name: files_among @postgresql
select path from tracking_artifact where path = any(:paths) limit 1;

-- name: files_in
select path, size_bytes from tracking_artifact where folder = :folder order by path;

-- name: next_folder
select folder from tracking_artifact where folder >= :low and folder < :high order by folder limit 1;

-- name: below
select path, blob, size_bytes, created_us from tracking_artifact
where path >= :low and path < :high order by path;

-- name: delete_artifact
delete from tracking_artifact where path = :path;

-- name: delete_below
delete from tracking_artifact where path >= :low and path < :high;

-- name: insert_upload
insert into tracking_upload (id, path, parts, secret_digest, created_us, created_by)
values (:id, :path, :parts, :secret_digest, :created_us, :created_by);

-- name: upload
select id, path, parts, secret_digest, blob, created_us, created_by from tracking_upload where id = :id;

-- name: finish_upload
update tracking_upload set blob = :blob where id = :id;

-- name: delete_upload
delete from tracking_upload where id = :id;

-- name: expire_uploads
delete from tracking_upload where created_us < :before_us;

-- name: size_below
select count(*), cast(coalesce(sum(size_bytes), 0) as bigint) from tracking_artifact
where path >= :low and path < :high;

-- name: blobs
select blob from tracking_artifact;
