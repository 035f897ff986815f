-- name: keys_by_name
select name, no from tracking_key where name in (select value from json_each(:names));
-- name: keys_by_name @postgresql
select name, no from tracking_key where name = any(:names);

-- name: insert_key
insert into tracking_key (name) values (:name) on conflict (name) do nothing;
