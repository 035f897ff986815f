-- name: insert_edge
insert into lineage_edge (source, target, kind, at_us) values (:source, :target, :kind, :at_us)
on conflict (source, target, kind) do nothing;

-- name: edges
select source, target, kind, at_us from lineage_edge {where}
order by at_us desc, source, target, kind limit :most;

-- name: set_label
insert into lineage_label (ref, label) values (:ref, :label)
on conflict (ref) do update set label = excluded.label;

-- name: labels
select ref, label from lineage_label {where};
