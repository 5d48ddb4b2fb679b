import type { Api } from './api.ts';
import type { ChatClient } from './client.ts';
import { uuid } from './ids.ts';
import { Refused } from './protocol.ts';

const CACHE_MAX = 60;

/** Fetched files as object URLs. At most 60 are kept; the one least recently asked for is given back to the browser. */
export class BlobCache {
  readonly #api: Api;
  readonly #urls = new Map<string, Promise<string>>();

  constructor(api: Api) {
    this.#api = api;
  }

  get(url: string): Promise<string> {
    const known = this.#urls.get(url);
    const found = known ?? this.#api.blob(url).then((blob) => URL.createObjectURL(blob));
    this.#urls.delete(url);
    this.#urls.set(url, found);
    if (!known) {
      found.catch(() => this.#urls.delete(url));
      this.#trim();
    }
    return found;
  }

  #trim(): void {
    for (const [url, blob] of this.#urls) {
      if (this.#urls.size <= CACHE_MAX) return;
      this.#urls.delete(url);
      blob.then(URL.revokeObjectURL, () => undefined);
    }
  }

  async save(url: string, name: string): Promise<void> {
    const link = document.createElement('a');
    link.href = await this.get(url);
    link.download = name;
    link.click();
  }
}

export interface Upload {
  id: string;
  /** Null until the customer's session is open. */
  session: string | null;
  file: Blob;
  name: string;
  /** The code of what went wrong; undefined while it runs. */
  failed?: string;
  /** There was no connection: it goes on by itself when there is one. */
  waiting?: boolean;
}

/**
 * Files on their way up. They live as long as the page: a file is too large for the browser's small storage. Once
 * stored, it is said like any message, and from there on the outbox answers for it.
 */
export class Uploads {
  items: Upload[] = [];
  readonly #api: Api;
  readonly #client: ChatClient;
  readonly #changed: () => void;

  constructor(api: Api, client: ChatClient, changed: () => void) {
    this.#api = api;
    this.#client = client;
    this.#changed = changed;
  }

  add(session: string | null, file: File): void {
    // Pasted pictures are all called image.png; the server wants some name.
    const upload: Upload = { id: uuid(), session, file, name: file.name || 'image.png' };
    this.items.push(upload);
    void this.#run(upload);
  }

  retry(upload: Upload): void {
    delete upload.failed;
    void this.#run(upload);
  }

  discard(upload: Upload): void {
    this.items = this.items.filter((item) => item !== upload);
    this.#changed();
  }

  /** The connection is there, or there again. */
  connected(): void {
    for (const upload of this.items.filter((item) => item.waiting)) void this.#run(upload);
  }

  async #run(upload: Upload): Promise<void> {
    delete upload.waiting;
    this.#changed();
    try {
      if (upload.file.size > this.#client.limits.upload_bytes) throw new Refused('too_large', upload.name);
      upload.session ??= (await this.#client.open()).id;
      const body = await this.#api.upload(upload.session, upload.file, upload.name);
      this.discard(upload);
      this.#client.say(upload.session, body);
    } catch (error) {
      if (error instanceof Refused && error.code === 'disconnected') {
        upload.waiting = true;
        // It may have come back while this failed.
        if (this.#client.connection.link.name === 'ready') this.connected();
        return;
      }
      upload.failed = error instanceof Refused ? error.code : 'other';
      this.#changed();
    }
  }
}
