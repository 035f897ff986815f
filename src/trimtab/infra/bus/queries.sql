-- name: insert_event
insert into bus_event (id, kind, at_us, subject, actor, data)
values (:id, :kind, :at_us, :subject, :actor, :data);

-- name: event
select seq, id, kind, at_us, subject, actor, data from bus_event where id = :id;

-- name: events_after
select seq, id, kind, at_us, subject, actor, data from bus_event where seq > :seq order by seq limit :most;

-- name: last_seq
select coalesce(max(seq), 0) from bus_event;

-- name: delete_before
delete from bus_event where at_us < :before_us;
