/**
 * Every key there is: its kind, default, bounds and meaning in one place. The type, the checks, `--help` and
 * docs/configuration.md come from this table.
 */
export interface Key {
  readonly kind: 'text' | 'count' | 'ms' | 'bytes' | 'flag' | 'list' | 'choice';
  readonly default: string | number | boolean | readonly string[];
  readonly min?: number;
  readonly max?: number;
  readonly choices?: readonly string[];
  /** Whose other name this is: in TOML a table `[postgres]` leaves no room for a key `postgres`. */
  readonly same?: string;
  /** Never shown in an error. */
  readonly secret?: boolean;
  /** The command-line flag, where there is one. */
  readonly flag?: string;
  readonly about: string;
}

const s = 1000;
const day = 86_400 * s;

type Bounded<K extends Key['kind']> = Key & { readonly kind: K };

function count(value: number, about: string, min = 0, max = 1e9): Bounded<'count'> {
  return { kind: 'count', default: value, min, max, about };
}
/** A timer's wait by default: above 24.8 days the runtime's timers would fire at once. */
function ms(value: number, about: string, min = 0, max = 7 * day): Bounded<'ms'> {
  return { kind: 'ms', default: value, min, max, about };
}
function bytes(value: number, about: string, min = 0): Bounded<'bytes'> {
  return { kind: 'bytes', default: value, min, about };
}
function text(about: string, more: Partial<Omit<Key, 'kind'>> = {}): Bounded<'text'> {
  return { default: '', about, ...more, kind: 'text' };
}
/** The first one is the default. */
function choice<const C extends readonly string[]>(
  choices: C,
  about: string,
): Bounded<'choice'> & { readonly choices: C } {
  return { kind: 'choice', default: choices[0]!, choices, about };
}

/** Keys without a section: the flags of the contract. */
export const rootKeys = {
  host: text('The address to listen on. Without it all interfaces; with --demo 127.0.0.1.', {
    flag: '--host HOST',
  }),
  port: {
    ...count(8080, 'The port for everything: pages, API and WebSocket. 0: any free one.', 0, 65_535),
    flag: '--port N',
  },
  data_dir: text('Where keys, the embedded PostgreSQL and files live. One node at a time.', {
    default: './data',
    flag: '--data-dir DIR',
  }),
  workers: { ...count(0, 'Worker threads; 0: one for each core.', 0, 256), flag: '--workers N' },
  postgres: text('A PostgreSQL (14 or newer) to use instead of the embedded one.', {
    secret: true,
    flag: '--postgres URL',
  }),
  nats: text(
    'NATS with JetStream, one server or several of one cluster: this node is one of a kefu cluster. Needs --postgres.',
    { secret: true, flag: '--nats URL[,URL]' },
  ),
  objects: text(
    'Where files and the archive go: file:///DIR or s3://BUCKET[/PREFIX]?endpoint=URL&region=NAME&path_style=true. Without it DATA_DIR/objects.',
    { flag: '--objects URL' },
  ),
  node_id: text(
    'This node’s name, unlike that of every other node of its cluster. Without it `node`, in a cluster HOSTNAME-PORT.',
    { flag: '--node-id NAME' },
  ),
  demo: {
    kind: 'flag',
    default: false,
    flag: '--demo',
    about: 'Creates the demo’s agents; listens on loopback only.',
  },
} as const satisfies Record<string, Key>;

export const sections = {
  limits: {
    connections: count(18_000, 'WebSockets a node. The next upgrade gets 503 and Retry-After.'),
    connections_per_ip: count(200, 'WebSockets an address (IPv6: a /64). The next upgrade gets 429.'),
    connects_per_second_per_ip: count(50, 'Upgrades a second an address, burst twice that. Then 429.'),
    requests_per_second_per_ip: count(100, 'HTTP requests a second an address, burst twice that. Then 429.'),
    logins_per_minute_per_ip: count(
      300,
      'Log-ins a minute an address and a worker, burst the same. Then 429.',
    ),
    messages_per_second: count(
      20,
      'Messages a second a connection, burst twice that; as many other requests. Then `rate_limited`.',
    ),
    frame_bytes: bytes(
      65_536,
      'A client’s frame. A larger one gets `too_large`; above 16 times that the socket is cut.',
      1024,
    ),
    body_bytes: bytes(65_536, 'The JSON body of a request. A larger one gets 413.', 1024),
    upload_bytes: bytes(10 * 2 ** 20, 'A file. A larger one gets 413.'),
    connections_per_identity: count(
      10,
      'WebSockets an agent. One more, and the oldest is closed with `superseded`.',
    ),
    hello: ms(10 * s, 'From connecting to `hello`. Then the connection is closed.'),
    heartbeat: ms(25 * s, 'How often clients say `ping`; silent for 2.5 times that, they are closed.'),
    output_bytes: bytes(
      262_144,
      'Output buffered a connection. Beyond, it is behind: it gets nothing more until it has read, then catches up from history.',
      1024,
    ),
    in_flight: count(
      256,
      'Messages a connection in a session that wait for their ack. The next one gets `busy`.',
      1,
    ),
    mailbox: count(10_000, 'Messages waiting for an actor. The next one gets `busy`.', 16),
    history_page: count(
      200,
      'Events a page of history or catching up; a larger `limit` is cut to it.',
      1,
      5000,
    ),
    queue_length: count(
      100_000,
      'Sessions a group’s queue keeps in order; those beyond come in as room is made.',
    ),
    log_ids: count(1_000_000, 'Messages a session. The next one gets `conflict`.'),
  },
  agents: {
    capacity: count(8, 'Open sessions an agent, unless set for the agent.', 0, 10_000),
    grace: ms(30 * s, 'From an agent’s last lost connection to `away`.'),
    on_away: choice(
      ['queue', 'wait'],
      'What becomes of the sessions of an agent that is away by losing its connection: back to the queue, or wait for it.',
    ),
    reserve: ms(5 * s, 'How long a queue may use a slot that an agent has promised.', 100),
  },
  journal: {
    batch_events: count(2000, 'Events a transaction; the rest goes into the next.', 1, 20_000),
    queue_events: count(
      50_000,
      'Events a worker holds for the next transaction. The next one gets `unavailable`.',
      1,
    ),
    commit_wait: ms(
      5 * s,
      'How long an event waits for a database that is gone; then it gets `unavailable`.',
      100,
    ),
  },
  actors: {
    idle: ms(120 * s, 'An actor that had nothing to do for this long is put out of memory.', 100),
    restarts: count(
      5,
      'Restarts of one actor within restart_window. One more, and it is stopped until it is asked for again.',
      0,
      1000,
    ),
    restart_window: ms(30 * s, 'See restarts.', 100),
  },
  store: {
    hot_bytes: bytes(
      64 * 2 ** 20,
      'Recent events in memory, a worker. What was used longest ago is let go, and read from PostgreSQL when needed.',
      65_536,
    ),
    connections: count(
      4,
      'Connections to PostgreSQL for reading, a worker. More readers wait, up to read_wait.',
      1,
      100,
    ),
    read_wait: ms(5 * s, 'How long a read waits for the database; then it gets `unavailable`.', 100),
  },
  postgres: {
    url: text('The same as `--postgres`, for the TOML file.', { secret: true, same: 'postgres' }),
    shared_buffers: bytes(128 * 2 ** 20, 'Memory of the embedded PostgreSQL’s buffer cache.', 2 ** 20),
  },
  nats: {
    url: text('The same as `--nats`, for the TOML file.', { secret: true, same: 'nats' }),
    cluster: text('The cluster’s name: whose subjects and bucket on that NATS.', { default: 'kefu' }),
    feed: {
      kind: 'flag',
      default: true,
      about:
        'Publish every committed event to JetStream for other programs. Where none listens, turn it off on all nodes: a message costs half as much without it. What is committed meanwhile is never published.',
    },
    user: text('User, with password. In the URL they do as well.'),
    password: text('See user.', { secret: true }),
    token: text('A token instead of a user.', { secret: true }),
    nkey: text('A user’s nkey seed (SU…), or a file that holds one.', { secret: true }),
    creds: text('A .creds file: JWT and nkey.'),
    ca: text(
      'The authority of NATS’ certificate, a PEM file. With it, or a URL tls://…, the connection is TLS.',
    ),
    cert: text('This client’s certificate, a PEM file.'),
    key: text('Its private key, a PEM file.'),
  },
  cluster: {
    advertise: text(
      'Where people reach this node, as other nodes show it. Without it http(s)://HOSTNAME:PORT.',
    ),
    held: count(10_000, 'Messages for shards in motion, a worker. The next one gets `unavailable`.', 16),
    held_wait: ms(5 * s, 'How long one is held for a shard in motion. Then it gets `unavailable`.', 100),
    flush: ms(1 * s, 'How long a shard that moves may take to finish what it has on its way.', 10),
  },
  auth: {
    token_key: text(
      'The key that signs tokens, at least 32 characters; several, separated by commas: the first signs, all verify. Without it one is made and kept in the data directory, in a cluster in the database.',
      { secret: true },
    ),
    customer_token: ms(365 * day, 'How long a customer’s token is valid.', 60 * s, 3650 * day),
    agent_token: ms(12 * 3600 * s, 'How long an agent’s token is valid.', 60 * s, 3650 * day),
  },
  http: {
    origins: { kind: 'list', default: ['*'], about: 'Origins whose pages may call the API; * for all.' },
    trust_proxy: {
      kind: 'flag',
      default: false,
      about:
        'Count the last address of X-Forwarded-For instead of the peer’s; only behind a proxy that sets it.',
    },
  },
  tls: {
    cert: text('Certificate chain, a PEM file. With key: HTTPS and WSS.'),
    key: text('Private key, a PEM file.'),
  },
  log: {
    level: choice(
      ['info', 'trace', 'debug', 'warn', 'error', 'fatal', 'silent'],
      'The least important line that is written.',
    ),
    format: choice(['auto', 'json', 'pretty'], 'JSON, or for people; auto: for people on a terminal.'),
  },
  metrics: {
    open: { kind: 'flag', default: false, about: 'Serve /metrics to others than loopback.' },
  },
  lease: {
    suspect_after: ms(
      2 * s,
      'A node that nobody has heard for this long is given up, and its shards are taken over.',
      200,
      60 * s,
    ),
    ttl: ms(
      20 * s,
      'A node whose heartbeats NATS has not acknowledged for this long gives its shards up itself. At least four times suspect_after.',
      800,
      600 * s,
    ),
  },
  search: {
    every: ms(5 * s, 'What was said can be found by its words after so long.', 50, 3600 * s),
    touched: count(
      100_000,
      'Sessions that a worker thread remembers to index; beyond them it looks through the tables.',
      100,
    ),
    words: count(
      1_000_000,
      'Words of what was just said that a worker thread keeps until they are in the index; beyond them it reads the texts from the tables again.',
      0,
    ),
  },
  archive: {
    after: ms(
      30 * day,
      'A session that was closed for this long moves from PostgreSQL to object storage.',
      0,
      36_500 * day,
    ),
    every: ms(600 * s, 'How often it is looked for sessions to archive, to erase and to retire.', 100),
    segment: bytes(
      16 * 2 ** 20,
      'Size of an object of the archive, about: it holds many sessions.',
      64 * 1024,
    ),
    events_per_second: count(
      5000,
      'Events moved to the archive a second, so that chats do not feel it; 0: as fast as it goes.',
    ),
    compact_share: count(
      20,
      'A segment is written anew when more than this percentage of it is needed no more.',
      1,
      100,
    ),
    erase_within: ms(
      7 * day,
      'What was erased is gone from object storage after so long at the latest: its segment is written anew.',
      0,
      3650 * day,
    ),
    orphans_after: ms(
      day,
      'An object of the archive that the database does not know, as a crash can leave one, is deleted when it is this old; looked for once a day. 0: never.',
      0,
      3650 * day,
    ),
    threads: count(1, 'Threads that compress and check, when there is something to archive.', 1, 64),
    reads: count(64, 'Sessions that a worker thread reads from the archive at once; more are `busy`.', 1),
  },
} as const satisfies Record<string, Record<string, Key>>;
