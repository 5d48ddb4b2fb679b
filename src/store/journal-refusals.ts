import { refusal } from '../core/errors.ts';

/** What the journal says of events that are not in the database, nor will be. */
export const gone = refusal('unavailable', 'the database can’t be reached; try again with the same id', 1000);
export const moved = refusal('unavailable', 'this session has just moved to another owner; try again', 100);
export const leaseOver = refusal(
  'unavailable',
  'this node has lost its hold on the cluster; try again',
  1000,
);
export const unfit = refusal('internal', 'the database refused this event; it has been logged');
