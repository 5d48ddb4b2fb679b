-- How long a group's closed sessions are kept, in milliseconds after they were closed; null: for ever.
alter table groups add column retention bigint;

-- Customers whose data must not be erased, whoever asks and however old it is.
create table legal_holds (
  customer uuid   primary key,
  reason   text   not null,
  at       bigint not null,
  by_agent uuid   not null
);

-- Customers whose data is to go, or has gone. Pending ones are taken up again until nothing is left.
alter table customers add column erased_at bigint;
create table erasures (
  customer uuid   primary key,
  at       bigint not null,
  sessions int    not null default 0,
  events   bigint not null default 0,
  files    int    not null default 0,
  done_at  bigint
);
create index erasures_pending on erasures (at) where done_at is null;
-- Objects of files whose rows are gone; deleted from the store, then from here.
create table doomed_objects (
  object text primary key
);

-- Who did what to data that others would ask about. Never holds what was said.
create table audit (
  id      uuid   primary key,
  at      bigint not null,
  actor   uuid,
  name    text   not null,
  action  text   not null,
  subject text   not null,
  details json   not null
);
