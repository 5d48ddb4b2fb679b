import { Refused, type ClientFrame, type ReadyFrame, type ServerFrame } from './protocol.ts';

const BACKOFF_FIRST_MS = 500;
const BACKOFF_MAX_MS = 30_000;
const GREETING_MS = 10_000;
const REQUEST_MS = 15_000;
const PROBE_MS = 5_000;

/**
 *   idle ──start──▶ connecting ──open──▶ greeting ──ready──▶ ready
 *                       ▲                   │                  │
 *                       └──── timer ──── waiting ◀──── lost ───┘      any ──stop / unauthorized / superseded──▶ stopped
 */
export type Link =
  | { name: 'idle' }
  | { name: 'connecting' }
  | { name: 'greeting' }
  | { name: 'ready' }
  | { name: 'waiting'; until: number }
  | { name: 'stopped'; reason: string };

export interface ConnectionHooks {
  /** Asked for at every attempt: where each session is to go on from. */
  hello(): { token: string; resume: Record<string, number> };
  frame(frame: ServerFrame): void;
  link(link: Link): void;
}

interface Pending {
  resolve(frame: ServerFrame): void;
  reject(error: Refused): void;
  timer: ReturnType<typeof setTimeout>;
}

/** One WebSocket that keeps coming back. It knows frames and answers, and nothing of sessions. */
export class Connection {
  link: Link = { name: 'idle' };
  readonly #url: string;
  readonly #hooks: ConnectionHooks;
  #socket: WebSocket | null = null;
  #pending = new Map<string, Pending>();
  #nextRef = 1;
  #failures = 0;
  #goawayMs: number | null = null;
  #heartbeatMs = 0;
  #heardAt = 0;
  #beatDueAt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #beat: ReturnType<typeof setTimeout> | undefined;

  constructor(base: string, hooks: ConnectionHooks) {
    const url = new URL('v1/ws', base);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    this.#url = url.href;
    this.#hooks = hooks;
  }

  start(): void {
    if (this.link.name !== 'idle' && this.link.name !== 'stopped') return;
    addEventListener('online', this.#hurry);
    addEventListener('offline', this.#offline);
    document.addEventListener('visibilitychange', this.#hurry);
    this.#connect();
  }

  stop(reason: string): void {
    removeEventListener('online', this.#hurry);
    removeEventListener('offline', this.#offline);
    document.removeEventListener('visibilitychange', this.#hurry);
    this.#drop();
    this.#move({ name: 'stopped', reason });
  }

  /** False when nothing can be sent now; for frames that nobody misses (typing, read marks). */
  send(frame: ClientFrame): boolean {
    if (this.link.name !== 'ready') return false;
    this.#write(frame);
    return true;
  }

  /** Rejects with Refused; `disconnected` and `timeout` mean that the outcome is unknown. */
  request<T extends ServerFrame['t']>(
    frame: ClientFrame,
    answer: T,
  ): Promise<Extract<ServerFrame, { t: T }>> {
    return new Promise((resolve, reject) => {
      if (this.link.name !== 'ready') {
        reject(new Refused('disconnected', 'not connected'));
        return;
      }
      const ref = String(this.#nextRef++);
      const timer = setTimeout(() => {
        this.#pending.delete(ref);
        reject(new Refused('timeout', 'no answer'));
      }, REQUEST_MS);
      const settle = (got: ServerFrame) => {
        if (got.t === answer) resolve(got as Extract<ServerFrame, { t: T }>);
        else reject(new Refused('internal', `answered by ${got.t}`));
      };
      this.#pending.set(ref, { resolve: settle, reject, timer });
      this.#write({ ...frame, ref });
    });
  }

  #move(link: Link): void {
    this.link = link;
    this.#hooks.link(link);
  }

  #write(frame: object): void {
    this.#socket?.send(JSON.stringify(frame));
  }

  #connect(): void {
    clearTimeout(this.#timer);
    const socket = new WebSocket(this.#url, 'kefu.json.v1');
    this.#socket = socket;
    // A socket that was given up may still have events on their way; they belong to nobody.
    const mine = () => this.#socket === socket;
    socket.onopen = () => {
      if (!mine()) return;
      this.#move({ name: 'greeting' });
      this.#write({ t: 'hello', ...this.#hooks.hello() });
    };
    socket.onmessage = (message) => mine() && this.#receive(String(message.data));
    socket.onclose = () => mine() && this.#lost();
    this.#timer = setTimeout(() => this.#lost(), GREETING_MS);
    this.#move({ name: 'connecting' });
  }

  #receive(text: string): void {
    this.#heardAt = Date.now();
    let frame: ServerFrame;
    try {
      frame = JSON.parse(text) as ServerFrame;
    } catch {
      this.#lost();
      return;
    }
    if (frame.t === 'pong') return;
    if (frame.t === 'ready') this.#greeted(frame);
    if (frame.t === 'goaway') this.#goawayMs = frame.reconnect_ms;
    if (frame.t === 'error' && frame.ref === undefined && this.link.name === 'greeting') {
      this.#raiseGoaway(frame.retry_after_ms);
    }
    this.#hooks.frame(frame);
    if ('ref' in frame && frame.ref !== undefined) this.#answer(String(frame.ref), frame);
    if (frame.t === 'error' && (frame.code === 'unauthorized' || frame.code === 'superseded'))
      this.stop(frame.code);
    // The node says itself when to come back; its own close may take a while, and messages wait meanwhile.
    if (frame.t === 'goaway') this.#lost();
  }

  #raiseGoaway(retryAfterMs: number | undefined): void {
    if (retryAfterMs !== undefined) this.#goawayMs = Math.max(this.#goawayMs ?? 0, retryAfterMs);
  }

  #answer(ref: string, frame: ServerFrame): void {
    const pending = this.#pending.get(ref);
    if (!pending) return;
    this.#pending.delete(ref);
    clearTimeout(pending.timer);
    if (frame.t === 'error') pending.reject(new Refused(frame.code, frame.message, frame.retry_after_ms));
    else pending.resolve(frame);
  }

  #greeted(frame: ReadyFrame): void {
    clearTimeout(this.#timer);
    this.#failures = 0;
    this.#goawayMs = null;
    this.#heartbeatMs = frame.heartbeat_ms;
    this.#move({ name: 'ready' });
    this.#scheduleBeat();
  }

  #scheduleBeat(): void {
    clearTimeout(this.#beat);
    const delay = this.#heartbeatMs * (0.7 + Math.random() * 0.25);
    this.#beatDueAt = Date.now() + delay;
    this.#beat = setTimeout(() => this.#onBeat(), delay);
  }

  #onBeat(): void {
    const now = Date.now();
    if (now - this.#heardAt > 2.5 * this.#heartbeatMs) {
      // A timer far too late means that this tab slept, not that the server was silent: ask before giving up.
      if (now - this.#beatDueAt < this.#heartbeatMs) this.#lost();
      else this.#probe();
      return;
    }
    this.#write({ t: 'ping' });
    this.#scheduleBeat();
  }

  #probe(): void {
    if (this.link.name !== 'ready') return;
    const askedAt = Date.now();
    this.#write({ t: 'ping' });
    clearTimeout(this.#beat);
    this.#beat = setTimeout(() => (this.#heardAt >= askedAt ? this.#scheduleBeat() : this.#lost()), PROBE_MS);
  }

  #drop(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#beat);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    const pending = this.#pending;
    this.#pending = new Map();
    for (const { reject, timer } of pending.values()) {
      clearTimeout(timer);
      reject(new Refused('disconnected', 'connection lost'));
    }
  }

  #lost(): void {
    this.#drop();
    const ceiling = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** this.#failures);
    this.#failures += 1;
    // Thousands of pages lose their node in the same instant; without the spread they would all return in one too.
    const delay = (this.#goawayMs ?? ceiling / 2) + (Math.random() * ceiling) / 2;
    this.#goawayMs = null;
    this.#timer = setTimeout(() => this.#connect(), delay);
    this.#move({ name: 'waiting', until: Date.now() + delay });
  }

  /** The network is back, or the person is: no reason to sit out a long pause. */
  #hurry = (event: Event): void => {
    if (event.type === 'visibilitychange' && document.visibilityState === 'hidden') return;
    if (this.link.name === 'ready') this.#probe();
    else if (this.link.name === 'waiting') {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#connect(), Math.random() * 300);
    }
  };

  #offline = (): void => {
    if (this.link.name !== 'waiting') this.#lost();
  };

  /** For a "try now" button. */
  retryNow(): void {
    if (this.link.name === 'waiting') this.#connect();
    else if (this.link.name === 'stopped') this.start();
  }
}
