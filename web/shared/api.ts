import type { ClusterReport } from '../../src/protocol/cluster-status.ts';
import {
  Refused,
  type FileBody,
  type ChatEvent,
  type Me,
  type Named,
  type Party,
  type Presence,
  type Session,
} from './protocol.ts';

export interface Agent {
  id: string;
  name: string;
  groups: string[];
  presence: Presence;
  open: number;
  capacity: number;
}

export interface Group {
  name: string;
  waiting: number;
}

/** A session that a search found, and up to three of its messages; `marks` are places in `text`. */
export interface Found {
  session: Session;
  hits: {
    seq: number;
    at: string;
    from: Party | null;
    text: string;
    marks: [start: number, end: number][];
  }[];
}

export interface Page<T> {
  data: T[];
  next: string | null;
}

interface ErrorAnswer {
  error?: { code?: string; message?: string; retry_after_ms?: number };
}

type Query = Record<string, string | number | undefined>;

/** The HTTP routes the pages use. Every failure is a Refused; a lost network is `disconnected`. */
export class Api {
  readonly #base: string;
  token: string;

  constructor(base: string, token = '') {
    this.#base = base;
    this.token = token;
  }

  async #call(
    method: string,
    path: string,
    body?: unknown,
    { type = 'application/json', signal }: { type?: string; signal?: AbortSignal } = {},
  ): Promise<Response> {
    const headers: Record<string, string> = {};
    if (this.token) headers['Authorization'] = `Bearer ${this.token}`;
    if (body !== undefined) headers['Content-Type'] = type;
    const payload = body === undefined ? null : body instanceof Blob ? body : JSON.stringify(body);
    let response: Response;
    try {
      response = await fetch(new URL(path, this.#base), {
        method,
        headers,
        body: payload,
        signal: signal ?? null,
      });
    } catch (error) {
      throw new Refused('disconnected', String(error));
    }
    if (response.ok) return response;
    const answer = (await response.json().catch(() => ({}))) as ErrorAnswer;
    const fallback =
      response.status === 413 ? 'too_large' : response.status >= 500 ? 'unavailable' : 'bad_request';
    const { code = fallback, message = response.statusText, retry_after_ms: retry } = answer.error ?? {};
    throw new Refused(code, message, retry);
  }

  async #json<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
    const response = await this.#call(method, path, body, signal === undefined ? {} : { signal });
    return (await response.json()) as T;
  }

  #list<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<Page<T>> {
    const search = new URLSearchParams();
    for (const [key, value] of Object.entries(query)) if (value) search.set(key, String(value));
    return this.#json('GET', `${path}?${search}`, undefined, signal);
  }

  visitor(about: {
    name?: string;
    external_id?: string;
    channel?: string;
    attributes?: Record<string, unknown>;
  }) {
    return this.#json<{ customer: Named; token: string }>('POST', 'v1/visitors', about);
  }

  login(email: string, password: string) {
    return this.#json<{ agent: Me; token: string }>('POST', 'v1/login', { email, password });
  }

  session(id: string) {
    return this.#json<Session>('GET', `v1/sessions/${id}`);
  }

  sessions(query: Query) {
    return this.#list<Session>('v1/sessions', query);
  }

  events(session: string, after: number, limit: number) {
    return this.#list<ChatEvent>(`v1/sessions/${session}/events`, { after, limit });
  }

  /** For agents. */
  search(query: Query, signal: AbortSignal) {
    return this.#list<Found>('v1/search', query, signal);
  }

  /** All that was ever said with a customer, newest first; `cursor` is `SESSION:SEQ`, what comes before that. */
  customerEvents(customer: string, cursor: string, limit: number) {
    return this.#list<ChatEvent>(`v1/customers/${customer}/events`, { cursor, limit });
  }

  rate(session: string, score: number, comment: string) {
    return this.#json<unknown>('POST', `v1/sessions/${session}/rating`, {
      score,
      ...(comment && { comment }),
    });
  }

  agents() {
    return this.#list<Agent>('v1/agents');
  }

  groups() {
    return this.#list<Group>('v1/groups');
  }

  /** For admins. */
  cluster(timeoutMs: number) {
    return this.#json<ClusterReport>('GET', 'v1/cluster', undefined, AbortSignal.timeout(timeoutMs));
  }

  async upload(session: string, file: Blob, name: string): Promise<FileBody> {
    const path = `v1/sessions/${session}/files?name=${encodeURIComponent(name)}`;
    const response = await this.#call('POST', path, file, {
      type: file.type || 'application/octet-stream',
    });
    const { file: kept } = (await response.json()) as { file: Omit<FileBody, 'type'> };
    const type = /^image\/(png|jpeg|gif|webp)$/.test(kept.mime) ? 'image' : 'file';
    return { type, url: kept.url, name: kept.name, mime: kept.mime, size: kept.size };
  }

  /** Files are behind the bearer token, which an <img> cannot send. Never sent to another origin than our own. */
  async blob(url: string): Promise<Blob> {
    const target = new URL(url, this.#base);
    if (target.origin !== new URL(this.#base).origin)
      throw new Refused('forbidden', 'a file of another origin');
    const response = await this.#call('GET', target.href);
    return response.blob();
  }
}
