-- What is committed but not yet published to other programs: one row an event, written in the event's own transaction
-- when the change feed is on. `position` is the event's place in its shard: it grows, and may have gaps. Rows come and
-- go all the time, so the dead are swept early, whatever the size of the table.
create table feed (
  shard    int    not null,
  position bigint not null,
  session  uuid   not null,
  seq      int    not null,
  primary key (shard, position)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,
        autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 100000);

-- Up to where each shard's events are published for certain.
create table feed_cursors (
  shard    int    primary key,
  position bigint not null default 0
) with (fillfactor = 10);
insert into feed_cursors (shard) select generate_series(0, 255);
