import type { ThreadId } from '../actors/engine/types.ts';

/** A message of the wire, its first byte taken off: who sent it, and which part of which batch it is. */
export interface Frame {
  readonly from: ThreadId;
  /** Counts the sender's batches; wraps at 2^32. */
  readonly batch: number;
  readonly index: number;
  readonly count: number;
  readonly body: Uint8Array;
}

/**
 * The header's layout, big-endian: version (1 byte), length of the sender's id (1), the id (UTF-8), batch (4),
 * chunk's index (2), number of chunks (2). Then the body.
 */
export const wireVersion = 1;
const fixedBytes = 10;
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** A sender's header, written again and again with other numbers. */
export class HeaderWriter {
  readonly bytes: number;
  readonly #start: Uint8Array;

  constructor(from: ThreadId) {
    const id = new TextEncoder().encode(from);
    // msgpackr keeps at most 255 bytes free in front of what it packs.
    if (id.length > 255 - fixedBytes) throw new Error(`the thread id ${from} is too long`);
    this.bytes = fixedBytes + id.length;
    this.#start = new Uint8Array([wireVersion, id.length, ...id]);
  }

  write(target: Uint8Array, batch: number, index: number, count: number): void {
    target.set(this.#start, 0);
    let at = this.#start.length;
    target[at] = batch >>> 24;
    target[(at += 1)] = batch >>> 16;
    target[(at += 1)] = batch >>> 8;
    target[(at += 1)] = batch;
    target[(at += 1)] = index >>> 8;
    target[(at += 1)] = index;
    target[(at += 1)] = count >>> 8;
    target[(at += 1)] = count;
  }
}

/** undefined: it is no frame of ours. The body refers to `data`. */
export function readFrame(data: Uint8Array): Frame | undefined {
  const idBytes = data[1];
  if (data[0] !== wireVersion || idBytes === undefined || data.length < fixedBytes + idBytes)
    return undefined;
  let from: string;
  try {
    from = utf8.decode(data.subarray(2, 2 + idBytes));
  } catch {
    return undefined;
  }
  const numbers = new DataView(data.buffer, data.byteOffset + 2 + idBytes, 8);
  const frame = {
    from,
    batch: numbers.getUint32(0),
    index: numbers.getUint16(4),
    count: numbers.getUint16(6),
    body: data.subarray(fixedBytes + idBytes),
  };
  return frame.index < frame.count ? frame : undefined;
}

interface Assembly {
  readonly from: ThreadId;
  readonly batch: number;
  readonly count: number;
  readonly startedMs: number;
  readonly chunks: Uint8Array[];
  bytes: number;
}

export interface ChunkLimits {
  /** Batches that are being put together, one a sender. */
  readonly assembliesMax: number;
  /** All their bytes. */
  readonly bytesMax: number;
  /** From the first chunk to the last. */
  readonly ageMaxMs: number;
}

/**
 * Puts batches together that came in chunks. A sender's chunks come one after the other over one connection, so each
 * sender has one assembly at a time, and a chunk that isn't the next one ends it: the rest was lost on the way.
 */
export class ChunkAssembler {
  readonly #limits: ChunkLimits;
  /** By sender, the oldest first. */
  readonly #assemblies = new Map<ThreadId, Assembly>();
  #bytes = 0;
  /** Batches that were given up: incomplete, too old, or too many at once. */
  dropped = 0;

  constructor(limits: ChunkLimits) {
    this.#limits = limits;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The whole body once its last chunk is here. */
  add(frame: Frame, nowMs: number): Uint8Array | undefined {
    this.dropOld(nowMs);
    const { from, batch, index, count, body } = frame;
    let assembly = this.#assemblies.get(from);
    if (assembly !== undefined && (assembly.batch !== batch || assembly.count !== count || index === 0)) {
      this.#drop(assembly);
      assembly = undefined;
    }
    if (assembly === undefined) {
      // The rest of one that was given up already, and counted.
      if (index !== 0) return undefined;
      assembly = { from, batch, count, startedMs: nowMs, chunks: [], bytes: 0 };
      this.#assemblies.set(from, assembly);
    } else if (assembly.chunks.length !== index) {
      this.#drop(assembly);
      return undefined;
    }
    // A copy: what was received is a part of the socket's buffer, which would be held with it.
    assembly.chunks.push(body.slice());
    assembly.bytes += body.length;
    this.#bytes += body.length;
    this.#makeRoom();
    if (this.#assemblies.get(from) !== assembly || assembly.chunks.length < count) return undefined;
    this.#forget(assembly);
    return joined(assembly);
  }

  dropOld(nowMs: number): void {
    for (const assembly of this.#assemblies.values()) {
      if (nowMs - assembly.startedMs < this.#limits.ageMaxMs) return;
      this.#drop(assembly);
    }
  }

  #makeRoom(): void {
    for (const oldest of this.#assemblies.values()) {
      if (this.#assemblies.size <= this.#limits.assembliesMax && this.#bytes <= this.#limits.bytesMax) return;
      this.#drop(oldest);
    }
  }

  #drop(assembly: Assembly): void {
    this.dropped += 1;
    this.#forget(assembly);
  }

  #forget(assembly: Assembly): void {
    this.#assemblies.delete(assembly.from);
    this.#bytes -= assembly.bytes;
  }
}

function joined(assembly: Assembly): Uint8Array {
  const whole = new Uint8Array(assembly.bytes);
  let at = 0;
  for (const chunk of assembly.chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}
