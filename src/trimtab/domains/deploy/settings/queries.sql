-- name: settings
select endpoint, settings, updated_us, updated_by from deploy_settings where endpoint = :endpoint;

-- name: all_settings
select endpoint, settings, updated_us, updated_by from deploy_settings order by endpoint;

-- name: put_settings
insert into deploy_settings (endpoint, settings, updated_us, updated_by)
values (:endpoint, :settings, :updated_us, :updated_by)
on conflict (endpoint) do update
set settings = excluded.settings, updated_us = excluded.updated_us, updated_by = excluded.updated_by;

-- name: delete_settings
delete from deploy_settings where endpoint = :endpoint;
