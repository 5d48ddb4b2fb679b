-- What is the same for ever: the number of shards, and whose database this is.
create table meta (
  key   text primary key,
  value text not null
);
insert into meta values ('shards', '256');

-- The fence. A journal transaction holds the rows of its shards `for share` under the epoch that it knows, so that a
-- new owner's update waits for it, and refuses every later one. `writer` is the same between two connections of one
-- owner: after a broken connection what the old one may still have on its way is refused.
create table shards (
  id     int primary key,
  epoch  int  not null default 0,
  owner  text not null default '',
  writer text not null default ''
) with (fillfactor = 10);
insert into shards (id) select generate_series(0, 255);

-- The only durable truth. `data` is the event as clients get it; of type json, which keeps the text as it is.
create table events (
  session uuid not null,
  seq     int  not null,
  data    json not null,
  primary key (session, seq)
) partition by range (session);
create table events_other partition of events default;

-- The index of sessions: the state after each one's last change, written in the transaction of that change.
create table sessions (
  id            uuid primary key,
  state         text not null,
  customer      uuid not null,
  customer_name text not null,
  agent         uuid,
  agent_name    text,
  group_name    text not null,
  channel       text not null,
  subject       text,
  attributes    json not null,
  priority      int  not null,
  target        uuid,
  last_agent    uuid,
  waiting_since bigint not null,
  opened_at     bigint not null,
  closed_at     bigint,
  rated         boolean not null
) with (fillfactor = 80);
create index sessions_customer on sessions (customer, id desc);
create index sessions_agent    on sessions (agent, id desc);
create index sessions_group    on sessions (group_name, id desc);
create index sessions_waiting  on sessions (group_name, priority desc, waiting_since, id)
  where state in ('waiting', 'transferring');
create index sessions_held     on sessions (agent) where state = 'chatting';
create index sessions_open     on sessions (customer) where state <> 'closed';

create table groups (
  name text primary key
);

create table agents (
  id       uuid primary key,
  email    text not null unique,
  name     text not null,
  kind     text not null,
  role     text not null,
  groups   text[] not null,
  capacity int,
  presence text not null default 'offline',
  password text not null
);

create table customers (
  id          uuid primary key,
  name        text not null,
  external_id text,
  channel     text not null,
  attributes  json not null,
  created_at  bigint not null
);

create table files (
  id      uuid primary key,
  session uuid not null,
  name    text not null,
  mime    text not null,
  size    bigint not null,
  object  text not null
);
create index files_session on files (session);
