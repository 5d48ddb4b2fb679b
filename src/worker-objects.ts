import type { Config } from './config.ts';
import { realChance, realClock } from './core/real-clock.ts';
import type { Metrics } from './net/metrics.ts';
import type { ObjectStore } from './store/object-store.ts';
import { openObjectStore, probeObjectStore } from './store/open-object-store.ts';

/** A worker's object store. `probe`: it is looked whether it can be used, and warned if not; chats go on without it. */
export async function workerObjects(
  { objects }: Pick<Config, 'objects'>,
  metrics: Metrics,
  probe: boolean,
  log: (level: 'warn', text: string, error: unknown) => void,
): Promise<ObjectStore> {
  const store = await openObjectStore({
    location: objects,
    clock: realClock,
    chance: realChance,
    observer: metrics.objects,
  });
  if (probe)
    probeObjectStore(store).catch((error: unknown) =>
      log('warn', 'the object store can’t be used; files and the archive wait for it', error),
    );
  return store;
}
