-- What agents search: one row a session, kept behind the chats. `words` are those of messages, names and subject;
-- `filters` what the session is now (state, group, agent, tags), as words of their own kind, so that one index has all.
-- By weeks of the session's id: a search goes from the newest to older ones until its page is full.
create table search (
  session     uuid     primary key,
  customer    uuid     not null,
  words       tsvector not null,
  filters     tsvector not null,
  indexed_seq int      not null
) partition by range (session);
create table search_other partition of search default;
create index search_words on search using gin (words, filters);
create index search_customer on search (customer);

-- Up to when what was closed in a shard is in the index for certain.
create table search_checked (
  shard int    primary key,
  at    bigint not null default 0
) with (fillfactor = 10);
insert into search_checked (shard) select generate_series(0, 255);
