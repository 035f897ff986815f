-- name: insert_endpoint
insert into deploy_endpoint (name, model, created_us, updated_us, created_by)
values (:name, :model, :created_us, :updated_us, :created_by);

-- name: endpoint
select name, model, created_us, updated_us, created_by from deploy_endpoint where name = :name;

-- name: endpoints
select name, model, created_us, updated_us, created_by from deploy_endpoint order by name;

-- name: touch_endpoint
update deploy_endpoint set updated_us = :updated_us where name = :name;

-- name: rename_model
update deploy_endpoint set model = :new_name where model = :old_name;

-- name: delete_endpoint
delete from deploy_endpoint where name = :name;

-- name: served
select version, weight, role, state, activate, allow_pickle, added_us, error, pid, native, allow_network
from deploy_served where endpoint = :endpoint order by added_us, version;

-- name: all_served
select endpoint, version, weight, role, state, activate, allow_pickle, added_us, error, pid, native, allow_network
from deploy_served order by endpoint, added_us, version;

-- name: put_served
insert into deploy_served
  (endpoint, version, weight, role, state, activate, allow_pickle, added_us, error, pid, native, allow_network)
values
  (:endpoint, :version, :weight, :role, :state, :activate, :allow_pickle, :added_us, :error, :pid, :native, :allow_network)
on conflict (endpoint, version) do update
set weight = excluded.weight, role = excluded.role, state = excluded.state, activate = excluded.activate,
    allow_pickle = excluded.allow_pickle, added_us = excluded.added_us, error = excluded.error, pid = excluded.pid,
    native = excluded.native, allow_network = excluded.allow_network;

-- name: set_pid
update deploy_served set pid = :pid where endpoint = :endpoint and version = :version;

-- name: delete_served
delete from deploy_served where endpoint = :endpoint and version = :version;

-- name: delete_all_served
delete from deploy_served where endpoint = :endpoint;

-- name: insert_change
insert into deploy_change
  (id, endpoint, at_us, actor, action, reason, before, after, champion_before, champion_after)
values
  (:id, :endpoint, :at_us, :actor, :action, :reason, :before, :after, :champion_before, :champion_after);

-- name: changes
select id, endpoint, at_us, actor, action, reason, before, after, champion_before, champion_after
from deploy_change {where} order by id desc limit :limit;

-- name: put_rollout
insert into deploy_rollout
  (id, endpoint, champion, challenger, state, policy, steps, judge, judged_us, started_us, ended_us, reason, actor, episode_id,
   plan, phase, verdict, approved_by, approved_us)
values
  (:id, :endpoint, :champion, :challenger, :state, :policy, :steps, :judge, :judged_us, :started_us, :ended_us, :reason,
   :actor, :episode_id, :plan, :phase, :verdict, :approved_by, :approved_us)
on conflict (id) do update
set champion = excluded.champion, state = excluded.state, steps = excluded.steps, judge = excluded.judge,
    judged_us = excluded.judged_us, ended_us = excluded.ended_us, reason = excluded.reason, phase = excluded.phase,
    verdict = excluded.verdict, approved_by = excluded.approved_by, approved_us = excluded.approved_us;

-- name: rollouts
select id, endpoint, champion, challenger, state, policy, steps, judge, judged_us, started_us, ended_us, reason, actor,
       episode_id, plan, phase, verdict, approved_by, approved_us
from deploy_rollout {where} order by id desc limit :limit;

