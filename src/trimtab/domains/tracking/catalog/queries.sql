-- name: metric_columns
select key_no, count(*) from tracking_metric_latest where {here} group by key_no;

-- name: param_columns
select key_no, count(*) from tracking_run_param where {here} group by key_no;

-- name: tag_columns
select key_no, count(*) from tracking_run_tag where {here} group by key_no;

-- name: total
select count(*) from tracking_run r {where};

-- name: facet
select {value}, count(*) from tracking_run r {joins} {where} group by {value} order by count(*) desc, {value} limit :most;

-- name: facet_total
select count(*) from tracking_run r {joins} {where};
