-- The archive: closed sessions' events leave the events table for segments, objects that hold many sessions. What a
-- row of `cold` covers is gone from `events`; what came later (a rating) stays there until the session is archived anew.
create table segments (
  id       uuid   primary key,
  object   text   not null,
  -- writing: an archiver is at it, or died at it; ready: written, read back and compared; leaving: nothing points at it.
  state    text   not null,
  bytes    bigint not null default 0,
  -- Of the sessions' blocks alone.
  blocks   bigint not null default 0,
  events   bigint not null default 0,
  sessions int    not null default 0,
  -- Of the events' JSON.
  raw      bigint not null default 0,
  sha256   text   not null default '',
  made_at  bigint not null
);
-- What the blocks of segments were compressed with; also in every segment that needs it.
create table archive_dictionaries (
  id      text   primary key,
  data    bytea  not null,
  made_at bigint not null
);
create table cold (
  session  uuid   primary key,
  segment  uuid   not null references segments,
  place    bigint not null,
  length   int    not null,
  last_seq int    not null,
  checksum text   not null
);
create index cold_segment on cold (segment);

-- `previous`: the customer's session before this one. `cold`: all of its events are in the archive.
alter table sessions add column previous uuid, add column cold boolean not null default false;
create index sessions_archivable on sessions (closed_at, id) where state = 'closed' and not cold;
