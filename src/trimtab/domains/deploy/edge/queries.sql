-- name: put
insert into deploy_edge (model, alias, endpoint, reference, state, sequence, version, blob, size_bytes, error,
  created_us, updated_us, created_by)
values (:model, :alias, :endpoint, :reference, :state, :sequence, :version, :blob, :size_bytes, :error,
  :created_us, :updated_us, :created_by)
on conflict (model, alias) do update set endpoint = excluded.endpoint, reference = excluded.reference,
  state = excluded.state, sequence = excluded.sequence, version = excluded.version, blob = excluded.blob,
  size_bytes = excluded.size_bytes, error = excluded.error, updated_us = excluded.updated_us;

-- name: find
select model, alias, endpoint, reference, state, sequence, version, blob, size_bytes, error, created_us, updated_us,
  created_by
from deploy_edge {where} order by model, alias;

-- name: remove
delete from deploy_edge where model = :model and alias = :alias;

-- name: rename_model
update deploy_edge set model = :new_name where model = :old_name;

-- name: rename_devices
update deploy_edge_device set model = :new_name where model = :old_name;

-- name: put_device
insert into deploy_edge_device (model, alias, device, sequence, first_us, last_us, taken, lost, problem)
values (:model, :alias, :device, :sequence, :now_us, :now_us, :taken, :lost, :problem)
on conflict (model, alias, device) do update set sequence = excluded.sequence, last_us = excluded.last_us,
  taken = deploy_edge_device.taken + excluded.taken, lost = deploy_edge_device.lost + excluded.lost,
  problem = excluded.problem;

-- name: devices
select device, sequence, first_us, last_us, taken, lost, problem from deploy_edge_device
where model = :model and alias = :alias order by last_us desc, device limit :limit;

-- name: key
select public, sealed from deploy_edge_key where id = 1;

-- name: put_key
insert into deploy_edge_key (id, public, sealed, created_us) values (1, :public, :sealed, :created_us)
on conflict (id) do nothing;
