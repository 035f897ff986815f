-- name: insert_gate
insert into registry_gate (id, model, version, at_us, actor, verdict, champion, checks, evidence)
values (:id, :model, :version, :at_us, :actor, :verdict, :champion, :checks, :evidence);

-- name: gates
select id, at_us, actor, verdict, champion, checks, evidence
from registry_gate {where} order by id desc limit :limit;

-- name: put_scan
insert into registry_scan (model, version, at_us, verdict, findings)
values (:model, :version, :at_us, :verdict, :findings)
on conflict (model, version) do update
set at_us = excluded.at_us, verdict = excluded.verdict, findings = excluded.findings;

-- name: scan
select findings from registry_scan where model = :model and version = :version;

-- name: facts
select facts from registry_version where model = :model and version = :version;

-- name: set_facts
update registry_version set facts = :facts where model = :model and version = :version;

-- name: put_estimate
insert into registry_estimate (model, version, key, data, estimate, low, high, level, method, row_count, at_us, actor)
values (:model, :version, :key, :data, :estimate, :low, :high, :level, :method, :row_count, :at_us, :actor)
on conflict (model, version, key, data) do update
set estimate = excluded.estimate, low = excluded.low, high = excluded.high, level = excluded.level,
  method = excluded.method, row_count = excluded.row_count, at_us = excluded.at_us, actor = excluded.actor;

-- name: estimates
select version, key, data, estimate, low, high, level, method, row_count, at_us, actor
from registry_estimate {where} order by version, key, data;

-- name: newest_verdict
select verdict from registry_gate where model = :model and version = :version order by id desc limit 1;
