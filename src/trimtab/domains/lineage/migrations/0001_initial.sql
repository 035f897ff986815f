create table lineage_edge (
  source text not null,
  target text not null,
  kind text not null,
  at_us bigint not null,
  primary key (source, target, kind)
) $without_rowid;
create index lineage_edge_target on lineage_edge (target, source, kind);

create table lineage_label (
  ref text not null primary key,
  label text not null
) $without_rowid;
