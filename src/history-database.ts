import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from './config.ts';
import { StartError } from './core/start-error.ts';
import { createLog } from './log.ts';
import { openDataDir } from './store/data-dir.ts';
import { openPool, type DatabaseAddress } from './store/database.ts';
import { embeddedAddress, startEmbeddedPostgres } from './store/embedded-postgres.ts';

export interface HistoryDatabase {
  readonly address: DatabaseAddress;
  close(): Promise<void>;
}

/**
 * The database for a command: the one of --postgres, that of a node that runs, or else the data directory's own, started
 * for the command alone. It is taken like a node takes it, so that two servers never have one directory.
 */
export async function openHistoryDatabase(config: Config): Promise<HistoryDatabase> {
  const close = (): Promise<void> => Promise.resolve();
  if (config.postgres.url !== '') return { address: { url: config.postgres.url }, close };
  const { dataDir } = config;
  if (!existsSync(join(dataDir, 'postgres'))) return { address: embeddedAddress(dataDir), close };
  const running = await runningAddress(dataDir);
  if (running !== undefined) return { address: running, close };
  const lock = await openDataDir(dataDir).catch((error: unknown) => {
    const { message } = error as Error;
    throw new StartError(`its PostgreSQL does not answer now: try again in a moment. ${message}`);
  });
  try {
    const embedded = await startEmbeddedPostgres({
      dataDir,
      sharedBuffersBytes: config.postgres.sharedBuffersBytes,
      log: createLog({ level: 'error', format: 'auto' }).child({ thread: 'postgres' }),
      onExit: () => undefined,
    });
    return {
      address: embedded.address,
      async close() {
        await embedded.stop();
        await lock.close();
      },
    };
  } catch (error) {
    await lock.close();
    throw error;
  }
}

/** A socket may have been left behind by a server that was killed: only an answer counts. */
async function runningAddress(dataDir: string): Promise<DatabaseAddress | undefined> {
  let address: DatabaseAddress;
  try {
    address = embeddedAddress(dataDir);
  } catch (error) {
    if (error instanceof StartError) return undefined;
    throw error;
  }
  const sql = openPool(address, 'history command', 1, 5_000);
  try {
    await sql`select 1`;
    return address;
  } catch (error) {
    if (/^(?:ECONNREFUSED|ENOENT|CONNECT_TIMEOUT|57P0\d)$/.test((error as { code?: string }).code ?? ''))
      return undefined;
    throw error;
  } finally {
    await sql.end({ timeout: 1 });
  }
}
