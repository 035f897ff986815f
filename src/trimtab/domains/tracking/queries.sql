-- name: keys_by_name
select name, no from tracking_key where name in (select value from json_each(:names));
-- name: keys_by_name @postgresql
select name, no from tracking_key where name = any(:names);

-- name: insert_key
insert into tracking_key (name) values (:name) on conflict (name) do nothing;

-- name: keys_by_number
select no, name from tracking_key where no in (select value from json_each(:numbers));
-- name: keys_by_number @postgresql
select no, name from tracking_key where no = any(:numbers);
