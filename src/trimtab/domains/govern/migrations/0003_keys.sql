-- The endpoints that a token is limited to, as a JSON list; null is a token for everything its role permits.
alter table govern_token add column endpoints text;
