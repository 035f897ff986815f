-- name: find
select no, id, experiment_no, request_us, duration_us, state, name, session, client_request_id, request_preview,
  response_preview, input_tokens, output_tokens, total_tokens, cache_read_tokens, cache_write_tokens,
  cache_write_hour_tokens, input_cost, output_cost, total_cost, root, stated
from traces_trace where deleted_us is null and id in (select value from json_each(:ids)) order by id;
-- name: find @postgresql
select no, id, experiment_no, request_us, duration_us, state, name, session, client_request_id, request_preview,
  response_preview, input_tokens, output_tokens, total_tokens, cache_read_tokens, cache_write_tokens,
  cache_write_hour_tokens, input_cost, output_cost, total_cost, root, stated
from traces_trace where deleted_us is null and id = any(:ids) order by id;

-- name: page
select t.no, t.id, t.experiment_no, t.request_us, t.duration_us, t.state, t.name, t.session, t.client_request_id,
  t.request_preview, t.response_preview, t.input_tokens, t.output_tokens, t.total_tokens, t.cache_read_tokens,
  t.cache_write_tokens, t.cache_write_hour_tokens, t.input_cost, t.output_cost, t.total_cost, t.root, t.stated{columns}
from traces_trace t {where} order by {order} limit :limit;

-- name: candidates
select t.no, t.id{columns} from traces_trace t {where} order by {order} limit :limit;

-- name: matching
select t.no from traces_trace t {where};

-- name: count_matching
select count(*) from traces_trace t {where};

-- name: insert_trace
insert into traces_trace (id, experiment_no, request_us, duration_us, state, name, session, client_request_id,
  request_preview, response_preview, input_tokens, output_tokens, total_tokens, cache_read_tokens,
  cache_write_tokens, cache_write_hour_tokens, input_cost, output_cost, total_cost, root, stated)
values (:id, :experiment_no, :request_us, :duration_us, :state, :name, :session, :client_request_id,
  :request_preview, :response_preview, :input_tokens, :output_tokens, :total_tokens, :cache_read_tokens,
  :cache_write_tokens, :cache_write_hour_tokens, :input_cost, :output_cost, :total_cost, :root, :stated)
on conflict (id) do nothing returning no;

-- name: update_trace
update traces_trace set experiment_no = :experiment_no, request_us = :request_us, duration_us = :duration_us,
  state = :state, name = :name, session = :session, client_request_id = :client_request_id,
  request_preview = :request_preview, response_preview = :response_preview, input_tokens = :input_tokens,
  output_tokens = :output_tokens, total_tokens = :total_tokens, cache_read_tokens = :cache_read_tokens,
  cache_write_tokens = :cache_write_tokens, cache_write_hour_tokens = :cache_write_hour_tokens,
  input_cost = :input_cost, output_cost = :output_cost, total_cost = :total_cost, root = :root,
  stated = :stated
where no = :no;

-- name: set_name
update traces_trace set name = :name where no = :no;

-- name: put_tag
insert into traces_tag (trace_no, key, value) values (:trace_no, :key, :value)
on conflict (trace_no, key) do update set value = excluded.value;

-- name: delete_tag
delete from traces_tag where trace_no = :trace_no and key = :key;

-- name: put_metadata
insert into traces_metadata (trace_no, key, value) values (:trace_no, :key, :value)
on conflict (trace_no, key) do update set value = excluded.value;

-- name: keep_metadata
insert into traces_metadata (trace_no, key, value) values (:trace_no, :key, :value)
on conflict (trace_no, key) do nothing;

-- name: tags
select trace_no, key, value from traces_tag where trace_no in (select value from json_each(:traces));
-- name: tags @postgresql
select trace_no, key, value from traces_tag where trace_no = any(cast(:traces as bigint[]));

-- name: metadata
select trace_no, key, value from traces_metadata where trace_no in (select value from json_each(:traces));
-- name: metadata @postgresql
select trace_no, key, value from traces_metadata where trace_no = any(cast(:traces as bigint[]));

-- name: link_run
insert into traces_run (run_id, trace_no) values (:run_id, :trace_no) on conflict (run_id, trace_no) do nothing;

-- name: link_prompt
insert into traces_prompt (prompt, trace_no) values (:prompt, :trace_no)
on conflict (prompt, trace_no) do nothing;

-- name: doomed
select t.no, t.id from traces_trace t {where} order by t.request_us, t.id limit :limit;

-- name: to_trash
update traces_trace set deleted_us = :now_us where no in (select value from json_each(:traces));
-- name: to_trash @postgresql
update traces_trace set deleted_us = :now_us where no = any(cast(:traces as bigint[]));

-- name: from_trash
update traces_trace set deleted_us = null where id = :id and deleted_us is not null;

-- name: in_trash
select no from traces_trace where id = :id and deleted_us is not null;

-- name: purgeable
select no, id from traces_trace
where deleted_us < :before_us and experiment_no not in (select value from json_each(:held))
order by deleted_us, no limit :limit;
-- name: purgeable @postgresql
select no, id from traces_trace
where deleted_us < :before_us and experiment_no <> all(cast(:held as bigint[]))
order by deleted_us, no limit :limit;

-- name: of_experiment
select no, id from traces_trace where experiment_no = :experiment_no order by no limit :limit;

-- name: purge_traces
delete from traces_trace where no in (select value from json_each(:traces));
-- name: purge_traces @postgresql
delete from traces_trace where no = any(cast(:traces as bigint[]));
-- name: purge_tags
delete from traces_tag where trace_no in (select value from json_each(:traces));
-- name: purge_tags @postgresql
delete from traces_tag where trace_no = any(cast(:traces as bigint[]));
-- name: purge_metadata
delete from traces_metadata where trace_no in (select value from json_each(:traces));
-- name: purge_metadata @postgresql
delete from traces_metadata where trace_no = any(cast(:traces as bigint[]));
-- name: purge_spans
delete from traces_span where trace_no in (select value from json_each(:traces));
-- name: purge_spans @postgresql
delete from traces_span where trace_no = any(cast(:traces as bigint[]));
-- name: purge_chunks
delete from traces_chunk where trace_no in (select value from json_each(:traces));
-- name: purge_chunks @postgresql
delete from traces_chunk where trace_no = any(cast(:traces as bigint[]));
-- name: purge_runs
delete from traces_run where trace_no in (select value from json_each(:traces));
-- name: purge_runs @postgresql
delete from traces_run where trace_no = any(cast(:traces as bigint[]));
-- name: purge_prompts
delete from traces_prompt where trace_no in (select value from json_each(:traces));
-- name: purge_prompts @postgresql
delete from traces_prompt where trace_no = any(cast(:traces as bigint[]));
-- name: purge_assessments
delete from traces_assessment where trace_no in (select value from json_each(:traces));
-- name: purge_assessments @postgresql
delete from traces_assessment where trace_no = any(cast(:traces as bigint[]));
