alter table monitor_window add column routes text not null default '{}';
