-- name: grouped
select {columns} from {tables} {where} {grouping} limit :limit;

-- name: values
select {columns} from {tables} {where} order by {order};
