-- name: put_policy
insert into loop_policy (endpoint, policy, updated_us, updated_by)
values (:endpoint, :policy, :updated_us, :updated_by)
on conflict (endpoint) do update
set policy = excluded.policy, updated_us = excluded.updated_us, updated_by = excluded.updated_by;

-- name: policies
select policy from loop_policy {where} order by endpoint;

-- name: delete_policy
delete from loop_policy where endpoint = :endpoint;

-- name: put_episode
insert into loop_episode
  (id, endpoint, model, trigger_kind, state, title, event_us, not_before_us, champion, candidate, evaluation,
   champion_evaluation, reference, pipeline_run, rollout, baseline, actor, started_us, updated_us, ended_us)
values
  (:id, :endpoint, :model, :trigger, :state, :title, :event_us, :not_before_us, :champion, :candidate, :evaluation,
   :champion_evaluation, :reference, :pipeline_run, :rollout, :baseline, :actor, :started_us, :updated_us, :ended_us)
on conflict (id) do update
set state = excluded.state, event_us = excluded.event_us, not_before_us = excluded.not_before_us, champion = excluded.champion,
    candidate = excluded.candidate, evaluation = excluded.evaluation,
    champion_evaluation = excluded.champion_evaluation, reference = excluded.reference,
    pipeline_run = excluded.pipeline_run, rollout = excluded.rollout, baseline = excluded.baseline,
    updated_us = excluded.updated_us, ended_us = excluded.ended_us;

-- name: episodes
select id, endpoint, model, trigger_kind, state, title, event_us, not_before_us, champion, candidate, evaluation,
       champion_evaluation, reference, pipeline_run, rollout, baseline, actor, started_us, updated_us, ended_us
from loop_episode {where} order by id desc limit :limit;

-- name: insert_step
insert into loop_step
  (id, seq, at_us, event_us, kind, state, title, detail, subject, episode_id, cause_id, actor, data)
values
  (:id, (select coalesce(max(seq), 0) + 1 from loop_step), :at_us, :event_us, :kind, :state, :title, :detail,
   :subject, :episode_id, :cause_id, :actor, :data)
on conflict (id) do nothing;

-- name: steps
select id, at_us, event_us, kind, state, title, detail, subject, episode_id, cause_id, actor, data, seq
from loop_step {where} order by seq desc limit :limit;

-- name: insert_gc
insert into loop_gc (id, dry_run, older_than_us, compact, state, created_us, ended_us, actor, error, report)
values (:id, :dry_run, :older_than_us, :compact, :state, :created_us, :ended_us, :actor, :error, :report);

-- name: update_gc
update loop_gc set state = :state, ended_us = :ended_us, error = :error, report = :report where id = :id;

-- name: gcs
select id, dry_run, older_than_us, compact, state, created_us, ended_us, actor, error, report
from loop_gc {where} order by id desc limit :limit;
