-- name: insert_view
insert into tracking_view (id, name, page, experiment_id, state, owner_id, owner, shared, updated_us)
values (:id, :name, :page, :experiment_id, :state, :owner_id, :owner, :shared, :updated_us);

-- name: views
select id, name, page, experiment_id, state, owner_id, owner, shared, updated_us from tracking_view
where page = :page and experiment_id in ('', :experiment_id) and (shared = 1 or owner_id = :owner_id)
order by name, id limit :limit;

-- name: view
select id, name, page, experiment_id, state, owner_id, owner, shared, updated_us from tracking_view where id = :id;

-- name: update_view
update tracking_view set name = :name, state = :state, shared = :shared, updated_us = :updated_us where id = :id;

-- name: delete_view
delete from tracking_view where id = :id;
