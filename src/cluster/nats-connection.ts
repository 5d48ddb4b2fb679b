import { existsSync, readFileSync } from 'node:fs';
import type { ConnectionOptions, NatsConnection, Status } from '@nats-io/nats-core';
import { connect, credsAuthenticator, errors, nkeyAuthenticator } from '@nats-io/transport-node';
import type { Chance, Clock } from '../core/clock.ts';
import { StartError } from '../core/start-error.ts';

/** How to reach NATS. An empty string is none. */
export interface NatsOptions {
  /** `nats://host:port` or `tls://host:port`; a user and password in an URL count when there are none here. */
  readonly servers: readonly string[];
  /** Whose subjects and bucket; several clusters may share one NATS. */
  readonly cluster: string;
  readonly user: string;
  readonly password: string;
  readonly token: string;
  /** A user's seed (`SU…`), or a file that holds one. */
  readonly nkey: string;
  /** A `.creds` file. */
  readonly creds: string;
  /** PEM files. */
  readonly tlsCa: string;
  readonly tlsCert: string;
  readonly tlsKey: string;
}

/** What a connection went through, to be logged and counted. Never holds a secret. */
export interface NatsEvent {
  readonly type: 'connected' | 'disconnected' | 'slow' | 'error' | 'closed';
  readonly data: Readonly<Record<string, string | number>>;
}

/** One connection to NATS, which comes back by itself for ever. */
export interface NatsLink {
  readonly client: NatsConnection;
  /**
   * False from the instant at which the loss is known. Whoever sends looks here first: the client keeps what it is
   * given meanwhile and sends it later, when it is no longer true.
   */
  readonly connected: boolean;
  /** After what was sent before has left, if it leaves within half a second. */
  close(): Promise<void>;
}

/** All of the first connecting, over all servers. */
const connectMs = 5000;
/** One attempt with one server: a paused one takes the connection and says nothing. */
const dialMs = 2000;
const lastFlushMs = 500;
const backoffMinMs = 250;
const backoffMaxMs = 1000;
/** A dead link is noticed after two unanswered pings: 4 to 6 s. The beats of the members notice it earlier. */
const pingMs = 2000;
const pingsOut = 2;

/**
 * Connects. Rejects with a StartError, one line without secrets, when no server took us within 5 s; later losses are
 * told and mended, a refused login too, for an account may return.
 */
export async function connectNats(
  options: NatsOptions,
  name: string,
  tell: (event: NatsEvent) => void,
  world: { readonly clock: Clock; readonly chance: Chance },
): Promise<NatsLink> {
  const { hosts, settings } = settingsOf(options);
  const opening = connect({
    ...settings,
    servers: hosts,
    name,
    noEcho: true,
    waitOnFirstConnect: false,
    timeout: dialMs,
    maxReconnectAttempts: -1,
    reconnectDelayHandler: () => backoffMinMs + world.chance.next() * (backoffMaxMs - backoffMinMs),
    ignoreAuthErrorAbort: true,
    pingInterval: pingMs,
    maxPingOut: pingsOut,
    noAsyncTraces: true,
  });
  try {
    const client = await withinLimit(opening, world.clock);
    // The client strikes those off its list that were down at first; they may be the only ones up later.
    client.setServers(hosts);
    return new Link(client, tell, world.clock);
  } catch (error) {
    throw new StartError(`can't connect to NATS at ${hosts.join(', ')}: ${reasonOf(error, options)}`);
  }
}

class Link implements NatsLink {
  readonly client: NatsConnection;
  readonly #clock: Clock;
  readonly #tell: (event: NatsEvent) => void;
  #isConnected = true;
  /** While a login is refused, the same error comes with every attempt: told once. */
  #lastError = '';

  constructor(client: NatsConnection, tell: (event: NatsEvent) => void, clock: Clock) {
    this.client = client;
    this.#clock = clock;
    this.#tell = tell;
    const statuses = client.status();
    void this.#watch(statuses);
    void client.closed().then(() => {
      this.#isConnected = false;
      this.#tell({ type: 'closed', data: {} });
    });
  }

  get connected(): boolean {
    return this.#isConnected && !this.client.isClosed();
  }

  async close(): Promise<void> {
    const wasConnected = this.connected;
    this.#isConnected = false;
    if (wasConnected) await this.#flushLast();
    destroySocket(this.client);
    await this.client.close();
  }

  /** What was published just before, such as a last beat, is worth half a second. */
  #flushLast(): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#clock.after(lastFlushMs, resolve);
      const done = (): void => {
        cancel();
        resolve();
      };
      this.client.flush().then(done, done);
    });
  }

  async #watch(statuses: AsyncIterable<Status>): Promise<void> {
    for await (const status of statuses) this.#notice(status);
  }

  #notice(status: Status): void {
    if (status.type === 'disconnect') this.#lose(status.server, 'the connection was lost');
    else if (status.type === 'staleConnection') {
      this.#lose(this.client.getServer(), 'no answer to pings');
      destroySocket(this.client);
    } else if (status.type === 'reconnect') {
      this.#isConnected = true;
      this.#lastError = '';
      this.#tell({ type: 'connected', data: { server: status.server } });
    } else if (status.type === 'slowConsumer')
      this.#tell({
        type: 'slow',
        data: { subject: status.sub.getSubject(), pending: status.pending },
      });
    else if (status.type === 'error') this.#complain(status.error);
  }

  #lose(server: string, reason: string): void {
    if (!this.#isConnected) return;
    this.#isConnected = false;
    this.#tell({ type: 'disconnected', data: { server, reason } });
  }

  #complain(error: Error): void {
    if (error.message === this.#lastError) return;
    this.#lastError = error.message;
    // The protocol says it in words only.
    const type = /slow consumer/i.test(error.message) ? 'slow' : 'error';
    this.#tell({ type, data: { reason: error.message } });
  }
}

/**
 * Ends the socket below the client. To leave a server that hangs, the client first writes to it, and waits for ever
 * behind what the server no longer reads; it would never go to another one. And what it is just dialling it forgets.
 */
function destroySocket(client: NatsConnection): void {
  interface Inside {
    readonly protocol?: { readonly transport?: { readonly socket?: { destroy?(): void } } };
  }
  (client as unknown as Inside).protocol?.transport?.socket?.destroy?.();
}

function settingsOf(options: NatsOptions): { hosts: string[]; settings: ConnectionOptions } {
  const urls = options.servers.map(parseServer);
  if (urls.length === 0) throw new StartError('no NATS servers are configured');
  const hosts = urls.map((url) => url.host);
  const inUrl = urls.find((url) => url.username !== '');
  const user = options.user !== '' ? options.user : decodeURIComponent(inUrl?.username ?? '');
  const password = options.user !== '' ? options.password : decodeURIComponent(inUrl?.password ?? '');
  const settings: ConnectionOptions = {};
  if (user !== '') Object.assign(settings, { user, pass: password });
  if (options.token !== '') settings.token = options.token;
  if (options.nkey !== '') settings.authenticator = nkeyAuthenticator(seedOf(options.nkey));
  if (options.creds !== '')
    settings.authenticator = credsAuthenticator(readSecret(options.creds, 'credentials'));
  const isTls = options.tlsCa !== '' || options.tlsCert !== '' || options.tlsKey !== '';
  if (isTls || urls.some((url) => url.isTls)) {
    settings.tls = {
      ...(options.tlsCa === '' ? {} : { caFile: options.tlsCa }),
      ...(options.tlsCert === '' ? {} : { certFile: options.tlsCert }),
      ...(options.tlsKey === '' ? {} : { keyFile: options.tlsKey }),
    };
  }
  return { hosts, settings };
}

interface Server {
  readonly host: string;
  readonly username: string;
  readonly password: string;
  readonly isTls: boolean;
}

function parseServer(text: string): Server {
  const url = URL.parse(text.includes('://') ? text : `nats://${text}`);
  // The text itself may hold a password: it is not repeated.
  if (url === null || url.hostname === '' || !['nats:', 'tls:'].includes(url.protocol))
    throw new StartError('a NATS server is written as nats://host:port or tls://host:port');
  const { username, password, hostname, port } = url;
  return {
    host: `${hostname}:${port === '' ? 4222 : port}`,
    username,
    password,
    isTls: url.protocol === 'tls:',
  };
}

function seedOf(nkey: string): Uint8Array {
  const isSeed = /^SU[A-Z2-7]{56}$/.test(nkey);
  const text = isSeed ? nkey : new TextDecoder().decode(readSecret(nkey, 'nkey seed')).trim();
  if (!/^SU[A-Z2-7]{56}$/.test(text))
    throw new StartError('the nkey for NATS is neither a user’s seed (SU…) nor a file that holds one');
  return new TextEncoder().encode(text);
}

function readSecret(path: string, what: string): Uint8Array {
  // Of what is not a file's name nothing is repeated: it may be the secret itself, mistyped.
  if (!existsSync(path)) throw new StartError(`the file with the ${what} for NATS does not exist`);
  try {
    return readFileSync(path);
  } catch {
    throw new StartError(`the file with the ${what} for NATS can't be read`);
  }
}

/** The connection, or a rejection after `connectMs`; one that comes later is closed. */
function withinLimit(opening: Promise<NatsConnection>, clock: Clock): Promise<NatsConnection> {
  return new Promise((resolve, reject) => {
    let isLate = false;
    const cancel = clock.after(connectMs, () => {
      isLate = true;
      reject(new Error(`no answer within ${connectMs / 1000} s`));
    });
    opening.then(
      (client) => {
        cancel();
        if (isLate) void client.close();
        else resolve(client);
      },
      (error: unknown) => {
        cancel();
        reject(error instanceof Error ? error : new Error('the connection was closed'));
      },
    );
  });
}

function reasonOf(error: unknown, options: NatsOptions): string {
  if (error instanceof errors.AuthorizationError || error instanceof errors.UserAuthenticationExpiredError)
    return 'it refused the user, password, token or key';
  if (error instanceof errors.TimeoutError) return `no answer within ${dialMs / 1000} s`;
  let line = error instanceof Error ? error.message.split('\n')[0]! : 'the connection was closed';
  for (const secret of [options.password, options.token, options.nkey])
    if (secret !== '') line = line.replaceAll(secret, '…');
  return line;
}
