-- name: insert_job
insert into jobs_job (id, kind, queue, payload, state, due_us, attempts, max_attempts, dedupe_key, created_us)
values (:id, :kind, :queue, :payload, 'queued', :due_us, 0, :max_attempts, :dedupe_key, :created_us)
on conflict (kind, dedupe_key) where state in ('queued', 'running') do nothing;

-- name: active_by_key
select id from jobs_job where kind = :kind and dedupe_key = :dedupe_key and state in ('queued', 'running');

-- name: active_like
select other.id from jobs_job dead
join jobs_job other on other.kind = dead.kind and other.dedupe_key = dead.dedupe_key
where dead.id = :id and other.id <> dead.id and other.state in ('queued', 'running');

-- name: claim
update jobs_job
set state = 'running', owner = :owner, lease_until_us = :lease_until_us, attempts = attempts + 1,
    started_us = :now_us, progress = null, note = null
where id = (
  select id from jobs_job where queue = :queue and state = 'queued' and due_us <= :now_us
  order by due_us, id limit 1)
returning id, kind, queue, payload, attempts, max_attempts;

-- name: claim @postgresql
update jobs_job
set state = 'running', owner = :owner, lease_until_us = :lease_until_us, attempts = attempts + 1,
    started_us = :now_us, progress = null, note = null
where id = (
  select id from jobs_job where queue = :queue and state = 'queued' and due_us <= :now_us
  order by due_us, id limit 1 for update skip locked)
returning id, kind, queue, payload, attempts, max_attempts;

-- name: any_due
select 1 from jobs_job where queue = :queue and state = 'queued' and due_us <= :now_us limit 1;

-- name: count_due
select count(*) from jobs_job where queue = :queue and state = 'queued' and due_us <= :now_us;

-- name: count_running
select count(*) from jobs_job where queue = :queue and state = 'running';

-- name: extend
update jobs_job
set lease_until_us = :lease_until_us, progress = coalesce(:progress, progress), note = coalesce(:note, note)
where id = :id and owner = :owner and state = 'running';

-- name: finish
update jobs_job
set state = :state, due_us = :due_us, error = :error, ended_us = :ended_us, owner = null, lease_until_us = null
where id = :id and owner = :owner and state = 'running';

-- name: running_owners
select distinct owner from jobs_job where state = 'running';

-- name: bury_lost
update jobs_job
set state = 'dead', error = 'the process died on the last attempt', ended_us = :now_us, owner = null,
    lease_until_us = null
where state = 'running' and attempts >= max_attempts and (lease_until_us < :now_us or owner = :owner);

-- name: requeue_lost
update jobs_job set state = 'queued', owner = null, lease_until_us = null, due_us = :now_us
where state = 'running' and (lease_until_us < :now_us or owner = :owner);

-- name: get
select id, kind, queue, state, payload, attempts, max_attempts, due_us, progress, note, error, created_us,
       started_us, ended_us
from jobs_job where id = :id;

-- name: list
select id, kind, queue, state, payload, attempts, max_attempts, due_us, progress, note, error, created_us,
       started_us, ended_us
from jobs_job {where} order by id desc limit :limit;

-- name: retry
update jobs_job set state = 'queued', attempts = 0, due_us = :now_us, error = null, ended_us = null
where id = :id and state = 'dead';

-- name: counts
select queue, state, count(*) from jobs_job group by queue, state;

-- name: delete_ended
delete from jobs_job where state in ('done', 'dead') and ended_us < :before_us;

-- name: put_schedule
insert into jobs_schedule (name, kind, queue, payload, cron, every_us, next_us)
values (:name, :kind, :queue, :payload, :cron, :every_us, :next_us)
on conflict (name) do update
set kind = excluded.kind, queue = excluded.queue, payload = excluded.payload, cron = excluded.cron,
    every_us = excluded.every_us,
    next_us = case
      when coalesce(jobs_schedule.cron, '') = coalesce(excluded.cron, '')
       and coalesce(jobs_schedule.every_us, 0) = coalesce(excluded.every_us, 0)
      then jobs_schedule.next_us else excluded.next_us end;

-- name: delete_schedule
delete from jobs_schedule where name = :name;

-- name: schedules_due
select name, kind, queue, payload, cron, every_us, next_us from jobs_schedule
where next_us <= :now_us order by next_us;

-- name: advance_schedule
update jobs_schedule set next_us = :next_us where name = :name and next_us = :was_us;
