import type { NatsOptions } from './cluster/nats-connection.ts';
import type { Config } from './config.ts';

/** How to reach NATS, from the configuration. */
export function natsOptionsOf({ nats }: Config): NatsOptions {
  const { ca, cert, key, ...rest } = nats;
  return { ...rest, tlsCa: ca, tlsCert: cert, tlsKey: key };
}
