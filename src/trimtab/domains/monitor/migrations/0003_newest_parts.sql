-- The newest files of an endpoint are asked for by every look at its predictions.
create index monitor_part_newest on monitor_part (endpoint, kind, id);
