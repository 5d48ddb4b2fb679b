import type { Chance, Clock } from '../core/clock.ts';
import type { ObjectsLocation } from '../core/objects-url.ts';
import { openFileStore } from './object-store-file.ts';
import { MeasuredStore, type ObjectObserver } from './object-store-measured.ts';
import type { ObjectStore } from './object-store.ts';

export interface OpenObjectStoreOptions {
  readonly location: ObjectsLocation;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly observer: ObjectObserver & {
    /** A request has failed and is sent again. */
    retried(): void;
  };
}

/**
 * The store that `--objects` names. A folder that can't be written is `unavailable` now; a bucket is not asked for yet: chats
 * must go on without it.
 */
export async function openObjectStore(options: OpenObjectStoreOptions): Promise<ObjectStore> {
  const { location, clock, chance, observer } = options;
  const wallMs = (): number => clock.wallMs();
  const store =
    location.kind === 'file'
      ? await openFileStore({ directory: location.directory, wallMs })
      : await openS3(location, clock, chance, () => observer.retried());
  return new MeasuredStore(store, clock, observer);
}

async function openS3(
  location: Extract<ObjectsLocation, { kind: 's3' }>,
  clock: Clock,
  chance: Chance,
  retried: () => void,
): Promise<ObjectStore> {
  // The SDK costs 36 MB and a quarter of a second a thread: only those pay who have S3.
  const { openS3Store } = await import('./object-store-s3.ts');
  return openS3Store({ location, clock, chance, retried });
}

/** Throws `unavailable` where the store can't be used: asks for a list, since only that tells a missing bucket. */
export async function probeObjectStore(store: ObjectStore): Promise<void> {
  for await (const _object of store.list('probe')) break;
}
