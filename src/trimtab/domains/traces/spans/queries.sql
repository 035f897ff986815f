-- name: put_span
insert into traces_span (trace_no, id, name, type, status, started_ns, ended_ns, model, provider, input_cost,
  output_cost, total_cost)
values (:trace_no, :id, :name, :type, :status, :started_ns, :ended_ns, :model, :provider, :input_cost, :output_cost,
  :total_cost)
on conflict (trace_no, id) do update set name = excluded.name, type = excluded.type, status = excluded.status,
  started_ns = excluded.started_ns, ended_ns = excluded.ended_ns, model = excluded.model,
  provider = excluded.provider, input_cost = excluded.input_cost, output_cost = excluded.output_cost,
  total_cost = excluded.total_cost;

-- name: open_chunk
select seq, size_bytes, content from traces_chunk where trace_no = :trace_no order by seq desc limit 1;

-- name: put_chunk
insert into traces_chunk (trace_no, seq, size_bytes, content) values (:trace_no, :seq, :size_bytes, :content)
on conflict (trace_no, seq) do update set size_bytes = excluded.size_bytes, content = excluded.content;

-- name: chunks
select trace_no, content from traces_chunk where trace_no in (select value from json_each(:traces))
order by trace_no, seq;
-- name: chunks @postgresql
select trace_no, content from traces_chunk where trace_no = any(cast(:traces as bigint[])) order by trace_no, seq;

-- name: counts
select trace_no, count(*) from traces_span where trace_no in (select value from json_each(:traces)) group by trace_no;
-- name: counts @postgresql
select trace_no, count(*) from traces_span where trace_no = any(cast(:traces as bigint[])) group by trace_no;
