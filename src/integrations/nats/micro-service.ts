import {
  headers as createHeaders,
  Match,
  nuid,
  type Msg,
  type NatsConnection,
  type Subscription,
} from '@nats-io/nats-core';
import type { Clock } from '../../core/clock.ts';

/**
 * A micro service as NATS defines it (ADR-32): discovery under `$SRV`, endpoints in a queue group, so that each request
 * goes to one of all instances, statistics, and errors by two headers. Its own hundred lines, for the official package
 * counts a handler as done when it returns: with asynchronous ones its times and errors say nothing.
 */
export interface MicroEndpoint {
  readonly name: string;
  readonly subject: string;
  /** Undefined: the request stays unanswered. Must not reject. */
  readonly handle: (request: MicroRequest) => Promise<MicroAnswer | undefined>;
}

export interface MicroRequest {
  readonly data: Uint8Array;
  /** '' without one; names are compared without regard to case. */
  header(name: string): string;
}

export interface MicroAnswer {
  /** From 400 on it is an error. */
  readonly status: number;
  /** One line; only with an error. */
  readonly message?: string;
  /** JSON. */
  readonly body: string;
}

export interface MicroServiceOptions {
  readonly client: NatsConnection;
  readonly clock: Clock;
  readonly name: string;
  /** Semantic version. */
  readonly version: string;
  readonly description: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly endpoints: readonly MicroEndpoint[];
  /** A subject could not be listened to, mostly for want of permission; it is tried again every minute. */
  readonly failed: (subject: string, error: unknown) => void;
}

const queueGroup = 'q';
const againMs = 60_000;
const pollMs = 5;

interface Counts {
  requests: number;
  errors: number;
  lastError: string;
  spentMs: number;
}

export class MicroService {
  readonly id = nuid.next();
  readonly #options: MicroServiceOptions;
  readonly #started: string;
  readonly #counts = new Map<string, Counts>();
  readonly #subscriptions = new Set<Subscription>();
  readonly #cancels = new Set<() => void>();
  #atWork = 0;
  #isStopped = false;

  constructor(options: MicroServiceOptions) {
    this.#options = options;
    this.#started = new Date(options.clock.wallMs()).toISOString();
  }

  /** Requests that are not answered yet. */
  get atWork(): number {
    return this.#atWork;
  }

  start(): void {
    const verbs = { PING: () => ({}), INFO: () => this.#info(), STATS: () => this.#stats() };
    for (const [verb, answer] of Object.entries(verbs))
      for (const whose of ['', `.${this.#options.name}`, `.${this.#options.name}.${this.id}`])
        this.#listen(`$SRV.${verb}${whose}`, undefined, (message) => {
          message.respond(JSON.stringify({ ...this.#identity(verb), ...answer() }));
        });
    for (const endpoint of this.#options.endpoints) {
      this.#counts.set(endpoint.name, { requests: 0, errors: 0, lastError: '', spentMs: 0 });
      this.#listen(endpoint.subject, queueGroup, (message) => void this.#serve(endpoint, message));
    }
  }

  /** Takes no more, and waits for what it has, at most `deadlineMs`. */
  async stop(deadlineMs: number): Promise<void> {
    const { clock, client } = this.#options;
    this.#isStopped = true;
    for (const cancel of this.#cancels) cancel();
    const untilMs = clock.nowMs() + deadlineMs;
    // Draining needs the server's answer, which may never come: nobody waits for it longer than for the rest.
    let isDrained = client.isClosed();
    if (!isDrained)
      void Promise.allSettled([...this.#subscriptions].map((subscription) => subscription.drain())).then(
        () => (isDrained = true),
      );
    while ((!isDrained || this.#atWork > 0) && clock.nowMs() < untilMs)
      await new Promise<void>((resolve) => void clock.after(pollMs, resolve));
  }

  #listen(subject: string, queue: string | undefined, take: (message: Msg) => void): void {
    const { client, clock, failed } = this.#options;
    if (this.#isStopped || client.isClosed()) return;
    const subscription = client.subscribe(subject, {
      ...(queue === undefined ? {} : { queue }),
      callback: (error, message) => {
        if (error === null) return take(message);
        this.#subscriptions.delete(subscription);
        failed(subject, error);
        const cancel = clock.after(againMs, () => {
          this.#cancels.delete(cancel);
          this.#listen(subject, queue, take);
        });
        this.#cancels.add(cancel);
      },
    });
    this.#subscriptions.add(subscription);
  }

  async #serve(endpoint: MicroEndpoint, message: Msg): Promise<void> {
    const { clock } = this.#options;
    const counts = this.#counts.get(endpoint.name)!;
    const startMs = clock.nowMs();
    this.#atWork += 1;
    const answer = await endpoint.handle({
      data: message.data,
      header: (name) => message.headers?.get(name, Match.IgnoreCase) ?? '',
    });
    this.#atWork -= 1;
    counts.requests += 1;
    counts.spentMs += clock.nowMs() - startMs;
    if (answer === undefined) {
      counts.errors += 1;
      counts.lastError = 'no answer in time';
      return;
    }
    const { status, body } = answer;
    if (status < 400) {
      message.respond(body);
      return;
    }
    const text = (answer.message ?? 'failed').replace(/\p{Cc}/gu, ' ');
    counts.errors += 1;
    counts.lastError = `${status}: ${text}`;
    const headers = createHeaders();
    headers.set('Nats-Service-Error-Code', String(status));
    headers.set('Nats-Service-Error', text);
    message.respond(body, { headers });
  }

  #identity(verb: string): object {
    const { name, version, metadata } = this.#options;
    return { type: `io.nats.micro.v1.${verb.toLowerCase()}_response`, name, id: this.id, version, metadata };
  }

  #info(): object {
    const endpoints = this.#options.endpoints.map(({ name, subject }) => ({
      name,
      subject,
      queue_group: queueGroup,
      metadata: {},
    }));
    return { description: this.#options.description, endpoints };
  }

  #stats(): object {
    const endpoints = this.#options.endpoints.map(({ name, subject }) => {
      const { requests, errors, lastError, spentMs } = this.#counts.get(name)!;
      const nanos = Math.round(spentMs * 1e6);
      return {
        name,
        subject,
        queue_group: queueGroup,
        num_requests: requests,
        num_errors: errors,
        last_error: lastError,
        processing_time: nanos,
        average_processing_time: requests === 0 ? 0 : Math.round(nanos / requests),
      };
    });
    return { started: this.#started, endpoints };
  }
}
