import { mkdtemp, rm, chmod } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLog } from '../../src/log.ts';
import { openPool, type DatabaseAddress, type Sql } from '../../src/store/database.ts';
import { startEmbeddedPostgres } from '../../src/store/embedded-postgres.ts';
import { makePartitions, migrate } from '../../src/store/migrate.ts';

/** A real PostgreSQL with kefu's schema, for one test file. */
export interface TestPostgres {
  readonly address: DatabaseAddress;
  readonly sql: Sql;
  stop(): Promise<void>;
}

export async function startPostgres(
  options: { readonly sharedBuffersBytes?: number } = {},
): Promise<TestPostgres> {
  const dataDir = await mkdtemp(join(tmpdir(), 'kefu-pg-'));
  await chmod(dataDir, 0o711);
  const log = createLog({ level: 'error', format: 'json' });
  const embedded = await startEmbeddedPostgres({
    dataDir,
    sharedBuffersBytes: options.sharedBuffersBytes ?? 32 * 2 ** 20,
    log,
    onExit: () => undefined,
  });
  const schema = openPool(embedded.address, 'test schema', 1, 30_000);
  await migrate(schema);
  await makePartitions(schema, Date.now(), 1);
  await schema.end();
  const sql = openPool(embedded.address, 'test', 3, 30_000);
  return {
    address: embedded.address,
    sql,
    async stop() {
      await sql.end({ timeout: 1 });
      await embedded.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
