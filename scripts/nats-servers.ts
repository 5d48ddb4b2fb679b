import { mkdir, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/nats-core';
import { freePort, until } from './processes.ts';

/** How a nats-server with JetStream is run on loopback: `nats-server -c config`. */
export interface NatsServerPlace {
  readonly name: string;
  readonly port: number;
  readonly config: string;
  readonly storeDir: string;
}

export interface NatsServerOptions {
  readonly folder: string;
  /** 1, or a cluster of 3. */
  readonly count: 1 | 3;
  /** More of nats-server's configuration: `authorization { … }`, `tls { … }`. */
  readonly more?: string;
  /** False: clients are told of no other servers. Default true. */
  readonly advertise?: boolean;
}

/** Writes the configurations, on ports that are free now. */
export async function placeNatsServers(options: NatsServerOptions): Promise<NatsServerPlace[]> {
  const { folder, count, more = '', advertise = true } = options;
  const ports = await Promise.all(Array.from({ length: 2 * count }, () => freePort()));
  const routes = ports.slice(count).map((port) => `nats://127.0.0.1:${port}`);
  const places: NatsServerPlace[] = [];
  for (let index = 0; index < count; index += 1) {
    const name = `n${index}`;
    const storeDir = join(folder, name);
    const config = join(folder, `${name}.conf`);
    const cluster = `cluster { name: test, listen: "127.0.0.1:${ports[count + index]!}", routes: [${routes.join(', ')}], no_advertise: ${!advertise} }`;
    const lines = [
      `server_name: ${name}`,
      `listen: "127.0.0.1:${ports[index]!}"`,
      `jetstream { store_dir: "${storeDir}", max_file: 1G, max_mem: 64M }`,
      count === 1 ? '' : cluster,
      more,
    ];
    await mkdir(storeDir, { recursive: true });
    await writeFile(config, lines.join('\n'));
    places.push({ name, port: ports[index]!, config, storeDir });
  }
  return places;
}

const greetingMs = 1000;

/** Whether it takes connections, and greets them as it does once it can serve. */
export function isNatsListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1').setTimeout(greetingMs, () => socket.destroy());
    socket.once('data', () => {
      resolve(true);
      socket.destroy();
    });
    socket.once('error', () => undefined);
    socket.once('close', () => resolve(false));
  });
}

/**
 * JetStream answers once it has a meta leader, and places a stream on all peers once they have all joined. Streams that
 * were there before choose leaders of their own, which may take seconds more.
 */
export async function untilJetStream(client: NatsConnection, count: number): Promise<void> {
  const manager = await jetstreamManager(client, { checkAPI: false, timeout: 1000 });
  const stream = { name: 'ready', subjects: ['ready'], num_replicas: count };
  const orNotYet = (work: () => Promise<boolean>) => async (): Promise<boolean> => {
    try {
      return await work();
    } catch {
      return false;
    }
  };
  const isPlaced = orNotYet(async () => {
    await manager.streams.add(stream);
    return manager.streams.delete(stream.name);
  });
  await until('JetStream is ready', isPlaced, 30_000);
  const allLead = orNotYet(async () => {
    const names = await manager.streams.names().next();
    await Promise.all(names.map((name) => manager.streams.info(name)));
    return true;
  });
  await until('all streams have leaders', allLead, 30_000);
}
