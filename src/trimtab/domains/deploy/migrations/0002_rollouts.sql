alter table deploy_rollout add column plan text not null default '{}';
alter table deploy_rollout add column phase text not null default 'step';
alter table deploy_rollout add column verdict text not null default '{}';
alter table deploy_rollout add column approved_by text;
alter table deploy_rollout add column approved_us bigint;

-- What runs was begun with one share, which it keeps until the judge decides.
update deploy_rollout set plan = '{"steps":[50],"bake_us":0,"min_requests":0}' where state = 'running';
