-- name: put_pipeline
insert into pipelines_pipeline
  (name, version, entry, source_blob, spec, created_us, updated_us, updated_by, cron, cron_params)
values (:name, :version, :entry, :source_blob, :spec, :created_us, :updated_us, :updated_by, :cron, :cron_params)
on conflict (name) do update
set version = excluded.version, entry = excluded.entry, source_blob = excluded.source_blob, spec = excluded.spec,
    updated_us = excluded.updated_us, updated_by = excluded.updated_by, cron = excluded.cron,
    cron_params = excluded.cron_params;

-- name: pipeline
select name, version, entry, source_blob, spec, created_us, updated_us, updated_by, cron, cron_params
from pipelines_pipeline where name = :name;

-- name: pipelines
select name, version, entry, source_blob, spec, created_us, updated_us, updated_by, cron, cron_params
from pipelines_pipeline {where} order by name limit :limit;

-- name: pipeline_names
select name from pipelines_pipeline order by name;

-- name: run_counts
select pipeline, cast(count(*) as bigint), max(id) from pipelines_run {where} group by pipeline;

-- name: insert_run
insert into pipelines_run
  (id, pipeline, pipeline_version, entry, source_blob, params, trigger_data, submitted_by, state, created_us,
   outputs, job_id, fence, idempotency_key)
values
  (:id, :pipeline, :pipeline_version, :entry, :source_blob, :params, :trigger_data, :submitted_by, :state,
   :created_us, '{}', :job_id, 0, :idempotency_key);

-- name: run
select id, pipeline, pipeline_version, entry, source_blob, params, trigger_data, submitted_by, state, created_us,
       started_us, ended_us, cancel_us, outputs, error, job_id, fence, token_id
from pipelines_run where id = :id;

-- name: run_by_key
select id, pipeline, pipeline_version, entry, source_blob, params, trigger_data, submitted_by, state, created_us,
       started_us, ended_us, cancel_us, outputs, error, job_id, fence, token_id
from pipelines_run where idempotency_key = :idempotency_key;

-- name: runs
select id, pipeline, pipeline_version, entry, source_blob, params, trigger_data, submitted_by, state, created_us,
       started_us, ended_us, cancel_us, outputs, error, job_id, fence, token_id
from pipelines_run {where} order by id desc limit :limit;

-- name: plan
select plan from pipelines_run where id = :id;

-- name: set_plan
update pipelines_run set plan = :plan where id = :id;

-- name: begin_run
update pipelines_run
set state = 'running', started_us = coalesce(started_us, :now_us), fence = fence + 1
where id = :id and state in ('queued', 'running')
returning fence;

-- name: hold
update pipelines_run set fence = fence where id = :id and fence = :fence and state = 'running';

-- name: cancel_us
select cancel_us from pipelines_run where id = :id;

-- name: ask_cancel
update pipelines_run set cancel_us = :now_us where id = :id and cancel_us is null;

-- name: end_run
update pipelines_run
set state = :state, ended_us = :now_us, outputs = :outputs, error = :error
where id = :id and state in ('queued', 'running');

-- name: requeue_run
update pipelines_run
set state = 'queued', started_us = null, ended_us = null, cancel_us = null, error = null, outputs = '{}',
    job_id = :job_id
where id = :id and state in ('failed', 'cancelled');

-- name: set_token
update pipelines_run set token_id = :token_id where id = :id;

-- name: insert_step
insert into pipelines_step
  (run_id, position, name, state, cached, attempt, failures, due_us, started_us, ended_us, needs, error, value, log_tail,
   log_blob)
values
  (:run_id, :position, :name, :state, :cached, :attempt, :failures, :due_us, :started_us, :ended_us, :needs, :error,
   :value, :log_tail, :log_blob);

-- name: update_step
update pipelines_step
set state = :state, cached = :cached, attempt = :attempt, failures = :failures, due_us = :due_us,
    started_us = :started_us, ended_us = :ended_us, error = :error, value = :value, log_tail = :log_tail,
    log_blob = :log_blob
where run_id = :run_id and name = :name;

-- name: steps
select run_id, position, name, state, cached, attempt, failures, due_us, started_us, ended_us, needs, error, value,
       log_tail, log_blob
from pipelines_step {where} order by run_id, position;

-- name: cancel_steps
update pipelines_step set state = 'cancelled', ended_us = :now_us
where run_id = :run_id and state in ('waiting', 'running');

-- name: reset_steps
update pipelines_step
set state = 'waiting', failures = 0, due_us = 0, started_us = null, ended_us = null, error = null
where run_id = :run_id and state <> 'succeeded';

-- name: cached
select cache_key, result from pipelines_cache {where};

-- name: put_cached
insert into pipelines_cache (cache_key, result, run_id, step, created_us, used_us)
values (:cache_key, :result, :run_id, :step, :now_us, :now_us)
on conflict (cache_key) do update set result = excluded.result, run_id = excluded.run_id, step = excluded.step,
    used_us = excluded.used_us;

-- name: touch_cached
update pipelines_cache set used_us = :now_us where cache_key = :cache_key;

-- name: forget_cached
delete from pipelines_cache where cache_key = :cache_key;

-- name: expire_cache
delete from pipelines_cache where used_us < :before_us;

-- name: expire_steps
delete from pipelines_step where run_id in (
  select id from pipelines_run where ended_us < :before_us and state in ('succeeded', 'failed', 'cancelled'));

-- name: expire_runs
delete from pipelines_run where ended_us < :before_us and state in ('succeeded', 'failed', 'cancelled');

-- name: unfinished_runs
select id, job_id from pipelines_run where state in ('queued', 'running') order by id;

-- name: blob_holders
select source_blob from pipelines_pipeline
union select source_blob from pipelines_run
union select log_blob from pipelines_step where log_blob is not null;

-- name: stored_values
select value from pipelines_step where value is not null;

-- name: stored_plans
select plan from pipelines_run where plan is not null;

-- name: stored_results
select result from pipelines_cache;
