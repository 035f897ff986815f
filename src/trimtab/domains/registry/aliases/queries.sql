-- name: alias
select version from registry_alias where model = :model and alias = :alias;

-- name: set_alias
insert into registry_alias (model, alias, version) values (:model, :alias, :version)
on conflict (model, alias) do update set version = excluded.version;

-- name: delete_alias
delete from registry_alias where model = :model and alias = :alias;

-- name: insert_alias_move
insert into registry_alias_move (model, alias, version, previous, at_us, actor, reason, evidence)
values (:model, :alias, :version, :previous, :at_us, :actor, :reason, :evidence);

-- name: alias_moves
select seq, at_us, alias, version, previous, actor, reason, evidence
from registry_alias_move {where} order by seq desc limit :limit;

-- name: environments
select name, move, after, needs_gate, verdicts from registry_environment where model = :model order by place;

-- name: environment
select name, move, after, needs_gate, verdicts from registry_environment where model = :model and name = :name;

-- name: clear_environments
delete from registry_environment where model = :model;

-- name: insert_environment
insert into registry_environment (model, name, place, move, after, needs_gate, verdicts)
values (:model, :name, :place, :move, :after, :needs_gate, :verdicts);

-- name: last_moves
select alias, at_us, actor, reason, version from registry_alias_move m
where m.model = :model and m.seq = (
  select max(n.seq) from registry_alias_move n where n.model = m.model and n.alias = m.alias
);
