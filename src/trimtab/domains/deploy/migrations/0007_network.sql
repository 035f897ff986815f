alter table deploy_served add column allow_network bigint not null default 0;
