-- Searches of one experiment walk the values of one parameter or tag; long values are told apart after their beginnings.
alter table tracking_run_param add column experiment_no bigint not null default 0;
update tracking_run_param
set experiment_no = (select r.experiment_no from tracking_run r where r.no = tracking_run_param.run_no);
alter table tracking_run_tag add column experiment_no bigint not null default 0;
update tracking_run_tag
set experiment_no = (select r.experiment_no from tracking_run r where r.no = tracking_run_tag.run_no);
-- @postgresql
alter table tracking_run_param alter column value type text collate "C";
alter table tracking_run_tag alter column value type text collate "C";
-- @all
create index tracking_run_param_order on tracking_run_param (experiment_no, key_no, substr(value, 1, 40));
create index tracking_run_tag_order on tracking_run_tag (experiment_no, key_no, substr(value, 1, 40));
