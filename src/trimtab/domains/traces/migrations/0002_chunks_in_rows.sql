-- Chunks are large: in a table whose key is its tree, SQLite would have to pass through their bytes to find one.
create table traces_chunk_row (
  trace_no bigint not null,
  seq bigint not null,
  size_bytes bigint not null,
  content bytea not null,
  primary key (trace_no, seq)
);
insert into traces_chunk_row (trace_no, seq, size_bytes, content)
select trace_no, seq, size_bytes, content from traces_chunk;
drop table traces_chunk;
alter table traces_chunk_row rename to traces_chunk;
