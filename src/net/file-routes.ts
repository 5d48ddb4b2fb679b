import type { Clock } from '../core/clock.ts';
import { KefuError } from '../core/errors.ts';
import type { IdSource } from '../core/ids.ts';
import type { Actor } from '../rules/session.ts';
import type { HttpRequest, HttpResponse } from './http-server.ts';
import type { Requests } from './requests.ts';
import type { Tokens } from './tokens.ts';
import { cleanFileName, sniffBytes, typeOfUpload, uploadHeaders } from './uploads-type.ts';

/** Where files go: declared here, adapted by src/store. */
export interface FileStore {
  put(
    key: string,
    content: AsyncIterable<Uint8Array>,
    options: { maxBytes: number },
  ): Promise<{ size: number }>;
  get(key: string): Promise<{ size: number; stream: AsyncIterable<Uint8Array> }>;
  delete(key: string): Promise<void>;
}

export interface FileIndex {
  add(file: {
    id: string;
    session: string;
    name: string;
    mime: string;
    size: number;
    object: string;
  }): Promise<void>;
  list(session: string): Promise<readonly { id: string; name: string; size: number; object: string }[]>;
  get(
    session: string,
    id: string,
  ): Promise<{ name: string; mime: string; size: number; object: string } | undefined>;
}

export interface FileRoutesOptions {
  readonly requests: Requests;
  readonly store: FileStore;
  readonly index: FileIndex;
  readonly ids: IdSource;
  readonly clock: Clock;
  readonly signatures: Pick<Tokens, 'signPath' | 'verifyPath'>;
  /** Bytes a file; 0: no limit. */
  readonly uploadBytes: number;
}

/** How long a link to a file works. */
const linkMs = 300_000;
/** Uploads being stored at once, a thread: each holds a piece of its file in memory. */
const uploadsMax = 64;

/** Files of a session: only its participants put them there, whoever may read the session gets them. */
export class FileRoutes {
  readonly #options: FileRoutesOptions;
  #uploads = 0;

  constructor(options: FileRoutesOptions) {
    this.#options = options;
  }

  async upload(request: HttpRequest, who: Actor, session: string): Promise<HttpResponse> {
    const { requests, store, index, ids, uploadBytes } = this.#options;
    const view = await requests.view(who, session);
    const participates = who.kind === 'customer' ? view.customer.id === who.id : view.agent?.id === who.id;
    if (!participates) throw new KefuError('not_participant', 'you are not a participant of this session');
    if (view.state === 'closed') throw new KefuError('invalid_transition', 'the session is closed');
    const announced = Number(request.header('content-length'));
    if (uploadBytes > 0 && announced > uploadBytes) {
      // Read to its end and dropped: a client that is still sending would not hear the answer.
      if (announced <= 8 * uploadBytes) for await (const _piece of request.stream(0));
      throw tooLarge(uploadBytes);
    }
    if (this.#uploads >= uploadsMax)
      throw new KefuError('busy', 'too many uploads at once', { retryAfterMs: 500 });
    this.#uploads += 1;
    try {
      const id = ids.next();
      const object = `files/${session}/${id}`;
      const head: Uint8Array[] = [];
      const maxBytes = uploadBytes > 0 ? uploadBytes : Number.MAX_SAFE_INTEGER;
      const { size } = await store.put(object, keepHead(request.stream(uploadBytes), head), { maxBytes });
      if (size === 0) {
        await store.delete(object);
        throw new KefuError('bad_request', 'the file is empty');
      }
      const mime = typeOfUpload(Buffer.concat(head), request.header('content-type'));
      const name = cleanFileName(request.query.get('name') ?? 'file').replaceAll('\0', '');
      await index.add({ id, session, name, mime, size, object });
      const url = `/v1/sessions/${session}/files/${id}`;
      return { status: 201, body: { file: { id, url, name, mime, size } } };
    } finally {
      this.#uploads -= 1;
    }
  }

  /** A URL that shows the file for a short while to whoever has it: for an `img`, which sends no Authorization. */
  async link(who: Actor, session: string, id: string): Promise<HttpResponse> {
    const { requests, index, signatures, clock } = this.#options;
    await requests.view(who, session);
    if ((await index.get(session, id)) === undefined)
      throw new KefuError('not_found', 'there is no such file');
    const path = `/v1/sessions/${session}/files/${id}`;
    const signature = await signatures.signPath(path, linkMs);
    const expiresAt = new Date(clock.wallMs() + linkMs).toISOString();
    return { status: 200, body: { url: `${path}?signature=${signature}`, expires_at: expiresAt } };
  }

  /** By a link; `path` is what was signed. */
  async downloadSigned(path: string, signature: string, session: string, id: string): Promise<HttpResponse> {
    if (await this.#options.signatures.verifyPath(path, signature)) return this.#send(session, id);
    throw new KefuError('unauthorized', 'this link has expired: ask for a new one');
  }

  async download(who: Actor, session: string, id: string): Promise<HttpResponse> {
    await this.#options.requests.view(who, session);
    return this.#send(session, id);
  }

  async #send(session: string, id: string): Promise<HttpResponse> {
    const file = await this.#options.index.get(session, id);
    if (file === undefined) throw new KefuError('not_found', 'there is no such file');
    const { size, stream } = await this.#options.store.get(file.object);
    return { status: 200, headers: uploadHeaders(file.name, file.mime), stream: { size, source: stream } };
  }

  /** A session's files with their bytes, for an export. One whose object is gone is left out. */
  async *contents(
    session: string,
  ): AsyncIterable<{ name: string; size: number; content: AsyncIterable<Uint8Array> }> {
    for (const { id, name, object } of await this.#options.index.list(session)) {
      const plain = name.replaceAll(/[^\w.-]+/g, '_').slice(-20);
      try {
        const { size, stream } = await this.#options.store.get(object);
        yield { name: `files/${session}/${id}-${plain}`, size, content: stream };
      } catch (error) {
        if (!(error instanceof KefuError) || error.code !== 'not_found') throw error;
      }
    }
  }
}

function tooLarge(bytes: number): KefuError {
  return new KefuError('too_large', `a file may have at most ${bytes} bytes`);
}

/** Passes a file through and keeps its first bytes, which tell its type. */
async function* keepHead(source: AsyncIterable<Uint8Array>, head: Uint8Array[]): AsyncIterable<Uint8Array> {
  let kept = 0;
  for await (const piece of source) {
    if (kept < sniffBytes) {
      head.push(piece.slice(0, sniffBytes - kept));
      kept += Math.min(piece.length, sniffBytes - kept);
    }
    yield piece;
  }
}
