/**
 * The names under which other programs find kefu on NATS. The cluster `kefu`, which is the usual one, has the short
 * names; others bear their own, since two streams may not listen to one subject.
 */
const usual = 'kefu';

export interface NatsNames {
  /** The stream of the change feed. */
  readonly stream: string;
  /** The feed's subjects are this, a dot, and the event's type. */
  readonly events: string;
  /** The requests' subjects are this, a dot, and the request's name. */
  readonly sessions: string;
}

/** `cluster` is 1 to 32 of a-z, 0-9, - and _. */
export function natsNames(cluster: string): NatsNames {
  const isUsual = cluster === usual;
  const root = isUsual ? 'kefu' : `kefu.${cluster}`;
  return {
    stream: isUsual ? 'KEFU_EVENTS' : `KEFU_EVENTS_${cluster}`,
    events: `${root}.events`,
    sessions: `${root}.api.sessions`,
  };
}
