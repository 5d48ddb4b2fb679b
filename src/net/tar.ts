/**
 * Archives as tar writes them (POSIX ustar), as a stream. By hand: the libraries for it bring bindings of their own or
 * hold the whole in memory, for a header that has not changed since 1988.
 */
export interface TarEntry {
  /** At most 100 bytes; ASCII. */
  readonly name: string;
  readonly size: number;
  readonly modifiedAtMs: number;
  readonly content: AsyncIterable<Uint8Array> | readonly Uint8Array[];
}

const block = 512;

export async function* tar(entries: AsyncIterable<TarEntry>): AsyncIterable<Uint8Array> {
  for await (const entry of entries) {
    yield header(entry);
    let size = 0;
    for await (const piece of entry.content) {
      size += piece.length;
      yield piece;
    }
    // The stream is cut rather than shifted: a reader must not take one file's bytes for the next one's header.
    if (size !== entry.size) throw new Error(`${entry.name} has ${size} bytes, not ${entry.size}`);
    yield new Uint8Array((block - (size % block)) % block);
  }
  yield new Uint8Array(2 * block);
}

function header({ name, size, modifiedAtMs }: TarEntry): Uint8Array {
  const bytes = Buffer.alloc(block);
  const octal = (value: number, digits: number): string => value.toString(8).padStart(digits, '0');
  if (Buffer.byteLength(name) > 100) throw new Error(`${name} is too long for tar`);
  bytes.write(name, 0);
  bytes.write(octal(0o644, 7), 100);
  bytes.write(octal(0, 7), 108);
  bytes.write(octal(0, 7), 116);
  bytes.write(octal(size, 11), 124);
  bytes.write(octal(Math.floor(modifiedAtMs / 1000), 11), 136);
  bytes.write('        0', 148);
  bytes.write('ustar\x0000', 257);
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  bytes.write(`${octal(sum, 6)}\0 `, 148);
  return bytes;
}
