import { accessSync, constants, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config.ts';
import { parseObjectsUrl, type ObjectsLocation } from '../core/objects-url.ts';
import { ConfigError } from './values.ts';

/** Where a key’s value came from: `--port`, `KEFU_PORT` or `FILE.toml: port`. */
export type WhereOf = (path: string) => string;

const loopback = /^(?:localhost|127(?:\.\d{1,3}){3}|::1)$/;

export function hostOf(host: string, demo: boolean, where: string): string {
  if (!demo) return host === '' ? '0.0.0.0' : host;
  if (host === '') return '127.0.0.1';
  if (loopback.test(host)) return host;
  throw new ConfigError(
    `${where}: everybody knows the passwords of --demo, so it does not listen on ${host}; leave one of them out`,
  );
}

export function objectsOf(url: string, dataDir: string, where: string): ObjectsLocation {
  if (url === '') return { kind: 'file', directory: join(dataDir, 'objects') };
  try {
    return parseObjectsUrl(url);
  } catch (error) {
    // What a URL holds before its @ is a secret.
    const shown = JSON.stringify(url.replace(/\/\/.*@/, '//…@')).slice(0, 80);
    throw new ConfigError(`${where}: ${shown} ${(error as Error).message}`);
  }
}

/** What no single key can know. */
export function checkRelations(config: Config, root: Record<string, string>, whereOf: WhereOf): void {
  const { tls, nodeId, postgres, auth, http, limits } = config;
  if (root['data_dir'] === '')
    throw new ConfigError(`${whereOf('data_dir')}: a folder must be named; leave it out for ./data`);
  checkCluster(config, whereOf);
  if (!/^[a-z0-9][a-z0-9_-]{0,31}$/.test(nodeId))
    throw new ConfigError(
      `${whereOf('node_id')}: ${JSON.stringify(nodeId).slice(0, 80)} is not 1 to 32 of a to z, 0 to 9, - and _, a letter or digit first`,
    );
  if (postgres.url !== '' && !/^postgres(?:ql)?:\/\//.test(postgres.url))
    throw new ConfigError(
      `${whereOf('postgres')}: its value is not a URL like postgres://USER:PASSWORD@HOST:5432/DATABASE`,
    );
  if ((tls.cert === '') !== (tls.key === ''))
    throw new ConfigError('tls.cert and tls.key: give both, or none');
  for (const [key, file] of Object.entries(tls)) {
    if (file !== '' && !isFile(file))
      throw new ConfigError(`${whereOf(`tls.${key}`)}: there is no readable file ${JSON.stringify(file)}`);
  }
  if (auth.tokenKey !== '' && auth.tokenKey.split(',').some((key) => Buffer.byteLength(key) < 32))
    throw new ConfigError(`${whereOf('auth.token_key')}: each key must have 32 bytes or more`);
  for (const origin of http.origins) {
    // As browsers write it, or it would never match; apps have schemes of their own.
    if (origin !== '*' && !/^[a-z][a-z0-9+.-]*:\/\/[^\s/?#A-Z]+$/.test(origin))
      throw new ConfigError(
        `${whereOf('http.origins')}: ${JSON.stringify(origin).slice(0, 80)} is not an origin like https://shop.example.com, or *`,
      );
  }
  if (limits.outputBytes < limits.frameBytes)
    throw new ConfigError(
      'limits.output_bytes: must not be below limits.frame_bytes, or no large event gets through',
    );
}

function checkCluster({ nats, postgres, lease }: Config, whereOf: WhereOf): void {
  if (lease.ttlMs < 4 * lease.suspectAfterMs)
    throw new ConfigError('lease.ttl: must be at least four times lease.suspect_after');
  if (!/^[a-z0-9][a-z0-9_-]{0,31}$/.test(nats.cluster))
    throw new ConfigError(
      `${whereOf('nats.cluster')}: ${JSON.stringify(nats.cluster).slice(0, 80)} is not 1 to 32 of a to z, 0 to 9, - and _, a letter or digit first`,
    );
  if (nats.servers.length === 0) return;
  if (nats.servers.some((url) => !/^(?:(?:nats|tls):\/\/)?[^/\s]+$/.test(url)))
    throw new ConfigError(`${whereOf('nats')}: its value is not URLs like nats://HOST:4222,nats://HOST:4222`);
  if (postgres.url === '')
    throw new ConfigError(
      `${whereOf('nats')}: the nodes of a cluster share one database: give --postgres URL too`,
    );
  if ((nats.cert === '') !== (nats.key === ''))
    throw new ConfigError('nats.cert and nats.key: give both, or none');
  for (const name of ['creds', 'ca', 'cert', 'key'] as const) {
    if (nats[name] !== '' && !isFile(nats[name]))
      throw new ConfigError(
        `${whereOf(`nats.${name}`)}: there is no readable file ${JSON.stringify(nats[name])}`,
      );
  }
}

function isFile(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
