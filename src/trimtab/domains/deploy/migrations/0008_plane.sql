-- The data plane is told of changes after each commit and reads the tables themselves; nobody read this number.
drop table deploy_plane;
