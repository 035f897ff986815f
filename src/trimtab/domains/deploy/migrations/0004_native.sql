-- Whether a version always runs as its author saved it, in a process of its own, also where it was compiled.
alter table deploy_served add column native bigint not null default 0;
