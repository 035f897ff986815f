-- name: insert_assessment
insert into traces_assessment (id, trace_no, name, kind, value, error, number, numeric_value, source_type, source_id,
  run_id, span_id, rationale, overrides, valid, metadata, session_wide, created_us, updated_us)
values (:id, :trace_no, :name, :kind, :value, :error, :number, :numeric_value, :source_type, :source_id, :run_id,
  :span_id, :rationale, :overrides, :valid, :metadata, :session_wide, :created_us, :updated_us);

-- name: put_assessment
insert into traces_assessment (id, trace_no, name, kind, value, error, number, numeric_value, source_type, source_id,
  run_id, span_id, rationale, overrides, valid, metadata, session_wide, created_us, updated_us)
values (:id, :trace_no, :name, :kind, :value, :error, :number, :numeric_value, :source_type, :source_id, :run_id,
  :span_id, :rationale, :overrides, :valid, :metadata, :session_wide, :created_us, :updated_us)
on conflict (id) do update set name = excluded.name, value = excluded.value, error = excluded.error,
  number = excluded.number, numeric_value = excluded.numeric_value, rationale = excluded.rationale,
  metadata = excluded.metadata, session_wide = excluded.session_wide, updated_us = excluded.updated_us
where traces_assessment.trace_no = excluded.trace_no;

-- name: assessments
select a.trace_no, a.id, a.name, a.kind, a.value, a.error, a.source_type, a.source_id, a.run_id, a.span_id,
  a.rationale, a.overrides, a.valid, a.metadata, a.created_us, a.updated_us
from traces_assessment a where a.trace_no in (select value from json_each(:traces))
order by a.trace_no, a.created_us, a.id;
-- name: assessments @postgresql
select a.trace_no, a.id, a.name, a.kind, a.value, a.error, a.source_type, a.source_id, a.run_id, a.span_id,
  a.rationale, a.overrides, a.valid, a.metadata, a.created_us, a.updated_us
from traces_assessment a where a.trace_no = any(cast(:traces as bigint[])) order by a.trace_no, a.created_us, a.id;

-- name: assessment
select a.trace_no, a.id, a.name, a.kind, a.value, a.error, a.source_type, a.source_id, a.run_id, a.span_id,
  a.rationale, a.overrides, a.valid, a.metadata, a.created_us, a.updated_us
from traces_assessment a where a.trace_no = :trace_no and a.id = :id;

-- name: set_valid
update traces_assessment set valid = :valid where trace_no = :trace_no and id = :id;

-- name: delete_assessment
delete from traces_assessment where trace_no = :trace_no and id = :id;
