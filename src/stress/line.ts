import { RawClient, UpgradeRefusedError } from './raw-client.ts';
import type { Node } from './target.ts';
import type { World } from './world.ts';

// A frame of the wire: `t` says what else it holds.
// oxlint-disable-next-line typescript/no-explicit-any
export type Frame = any;

export interface LineEnd {
  /** What `hello` is to resume from. */
  resume(): Record<string, number>;
  ready(frame: Frame): void;
  frame(frame: Frame): void;
  /** The connection was lost; it comes again by itself. */
  lost(): void;
}

const backoffMinMs = 250;
const backoffMaxMs = 10_000;
const helloWaitMs = 15_000;

/**
 * One person's connection, as a good client keeps it: it says hello, pings, notices silence, comes again after a loss,
 * waits as long as a refusal asks for, and tries the next node.
 */
export class Line {
  readonly localAddress: string | undefined;
  /** Since when it should have been connected: what its latency counts from. */
  dueMs = 0;
  /** All that was missed is here. */
  isServed = false;
  isReady = false;
  /** Away by its own plan: what comes late then is nobody's fault. */
  isExcused = false;
  readonly #world: World;
  readonly #end: LineEnd;
  #token = '';
  #place: number;
  #client: RawClient | undefined;
  #cancel: (() => void) | undefined;
  #attempts = 0;
  #everReady = false;
  #closed = false;
  #isCut = false;
  #heartbeatMs = 25_000;
  #nextPingMs = Number.POSITIVE_INFINITY;
  #heardMs = 0;

  constructor(world: World, end: LineEnd, place: number, localAddress: string | undefined) {
    this.#world = world;
    this.#end = end;
    this.#place = place;
    this.localAddress = localAddress;
    world.lines.add(this);
  }

  get node(): Node {
    const { nodes } = this.#world;
    return nodes[this.#place % nodes.length]!;
  }

  /** The next node: this one has refused, or is not there. */
  elsewhere(): void {
    this.#place += 1;
  }

  get token(): string {
    return this.#token;
  }

  get isOpen(): boolean {
    return this.#client !== undefined;
  }

  open(token: string, dueMs: number): void {
    this.#token = token;
    this.dueMs = dueMs;
    void this.#connect();
  }

  send(frame: object): void {
    this.#client?.send(frame);
  }

  /** Lost by its own fault, for `awayMs`; `everybody`: with all others, which is measured by itself. */
  cut(awayMs: number, everybody = false): void {
    const now = this.#world.nowMs();
    if (this.#closed || (!this.isReady && !everybody)) return;
    this.#isCut = everybody;
    this.isExcused = !everybody;
    this.dueMs = now + awayMs;
    this.#attempts = 0;
    this.#drop();
    this.#connectAfter(awayMs);
  }

  close(): void {
    this.#closed = true;
    this.#cancel?.();
    this.#drop();
    this.#world.lines.delete(this);
  }

  /** All that was missed is here. */
  served(): void {
    if (this.isServed) return;
    this.isServed = true;
    const { tally, nowMs } = this.#world;
    const ms = nowMs() - this.dueMs;
    tally.counts[this.#everReady ? 'resumed' : 'connected'] += 1;
    tally.time(this.#everReady ? 'resume' : 'connect', ms);
    if (this.#isCut) tally.time('recovery', ms);
    this.#isCut = false;
    this.isExcused = false;
    this.#everReady = true;
  }

  /** Once a second or so. */
  tick(nowMs: number): void {
    if (this.#client === undefined) return;
    const silentMs = this.isReady ? 2.5 * this.#heartbeatMs : helloWaitMs;
    if (nowMs - this.#heardMs > silentMs) {
      this.#world.tally.error('silent connection');
      return this.#lose();
    }
    if (nowMs < this.#nextPingMs) return;
    this.#nextPingMs = nowMs + this.#heartbeatMs * (0.7 + 0.3 * this.#world.chance.next());
    this.#client.send({ t: 'ping' });
  }

  #connectAfter(delayMs: number): void {
    this.#cancel?.();
    this.#cancel = this.#world.after(delayMs, () => void this.#connect());
  }

  async #connect(): Promise<void> {
    const { localAddress, node } = this;
    try {
      const { host, name, port, isTls } = node;
      const local = localAddress === undefined ? {} : { localAddress };
      const client = await RawClient.open({ host, name, port, isTls, ...local });
      if (this.#closed || this.#client !== undefined) return client.close();
      this.#client = client;
      this.#heardMs = this.#world.nowMs();
      client.onFrame = (input, start, end) => {
        if (this.#client === client) this.#take(input.toString('utf8', start, end));
      };
      client.onClose = () => {
        if (this.#client === client) this.#lose();
      };
      const resume = this.#end.resume();
      client.send({
        t: 'hello',
        token: this.#token,
        ...(Object.keys(resume).length === 0 ? {} : { resume }),
      });
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    if (this.#closed) return;
    const { tally } = this.#world;
    if (error instanceof UpgradeRefusedError && (error.status === 429 || error.status === 503)) {
      tally.counts.refused += 1;
      return this.#again(error.retryAfterMs);
    }
    const code = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
    tally.error(`connect: ${code}`);
    this.#again(undefined);
  }

  /** With jitter: those who were refused together shall not come together. */
  #again(waitMs: number | undefined): void {
    if (this.#world.isOver && !this.#everReady) return;
    this.elsewhere();
    const backoffMs = Math.min(backoffMaxMs, backoffMinMs * 2 ** this.#attempts);
    this.#attempts = Math.min(this.#attempts + 1, 10);
    this.#connectAfter((waitMs ?? backoffMs) * (0.75 + 0.5 * this.#world.chance.next()));
  }

  /** What is no frame of the contract is the server's error, and must not end the test that is to find it. */
  #take(text: string): void {
    try {
      this.#receive(JSON.parse(text));
    } catch (error) {
      this.#world.tally.error(`a frame that can’t be: ${(error as Error).message}`);
    }
  }

  #receive(frame: Frame): void {
    const { tally, nowMs } = this.#world;
    tally.counts.frames += 1;
    this.#heardMs = nowMs();
    if (frame.t === 'pong') return;
    if (frame.t === 'ready') {
      this.isReady = true;
      this.#attempts = 0;
      this.#heartbeatMs = frame.heartbeat_ms > 0 ? frame.heartbeat_ms : 25_000;
      this.#nextPingMs = this.#heardMs + this.#heartbeatMs * this.#world.chance.next();
      return this.#end.ready(frame);
    }
    if (frame.t === 'goaway') return this.#lose(frame.reconnect_ms);
    if (frame.t === 'error' && !this.isReady) {
      tally.counts.refused += 1;
      return this.#lose(frame.retry_after_ms);
    }
    this.#end.frame(frame);
  }

  /** Lost without our doing. */
  #lose(waitMs?: number): void {
    if (this.isReady) this.#world.tally.counts.lost += 1;
    if (this.isServed) this.dueMs = this.#world.nowMs();
    this.#drop();
    if (!this.#closed) this.#again(waitMs);
  }

  #drop(): void {
    const client = this.#client;
    this.#client = undefined;
    const wasReady = this.isReady;
    this.isReady = false;
    this.isServed = false;
    if (client?.closed === false) client.flush();
    client?.close();
    if (wasReady && !this.#closed) this.#end.lost();
  }
}
