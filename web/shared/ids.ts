let lastMs = 0;
let counter = 0;

/**
 * A UUIDv7 whose text sorts in the order of the calls: the outbox keeps one storage key a message and sorts by it.
 * Not crypto.randomUUID, which plain-http pages outside localhost do not have.
 */
export function uuid(): string {
  const now = Date.now();
  if (now > lastMs) {
    lastMs = now;
    counter = 0;
  } else if (++counter > 0xfff) {
    lastMs += 1;
    counter = 0;
  }
  const random = crypto.getRandomValues(new Uint8Array(8));
  random[0] = (random[0]! & 0x3f) | 0x80;
  const tail = [...random].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  const time = lastMs.toString(16).padStart(12, '0');
  const seventh = '7' + counter.toString(16).padStart(3, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-${seventh}-${tail.slice(0, 4)}-${tail.slice(4)}`;
}
