import {
  ServerError,
  type Added,
  type SessionRow,
  type SimDatabase,
  type Statement,
} from './sim-database.ts';

/**
 * What each of the store's statements does to the tables. They are known by their text: one that was changed, or is new,
 * fails here, and must be taught to the simulator.
 */
export interface Rules {
  /** false: a mutation; the row's epoch is not compared. */
  readonly fence: boolean;
  readonly writer: boolean;
  /** The fences of other shards: a reservation's, a customer's. */
  readonly extraFence: boolean;
  /** `epoch <` of the statement that takes a shard. */
  readonly takeChecksEpoch: boolean;
  /** At an equal epoch: that it is the same owner's. */
  readonly takeChecksOwner: boolean;
}

export const trueRules: Rules = {
  fence: true,
  writer: true,
  extraFence: true,
  takeChecksEpoch: true,
  takeChecksOwner: true,
};

type Params = readonly unknown[];
type Make = (database: SimDatabase, params: Params, rules: Rules, text: string) => Statement;

const table: readonly (readonly [part: string, make: Make])[] = [
  ['bad as materialized', (database, params, rules) => append(database, params, rules, true)],
  ['held as materialized', (database, params, rules) => append(database, params, rules, false)],
  ['update shards s set epoch', take],
  ['update shards s set writer', takeWriter],
  ['join events e on e.session = f.session', lookUp],
  ['(select max(seq) from events where session', loadSession],
  ['union all', ofCustomer],
  ['select id from sessions where agent', heldBy],
  ['select distinct agent from sessions', holders],
  ['select * from sessions where group_name', waitingIn],
  ['select seq, data::text as data from events', range],
  ["data->'from'->>'id' as sender", messageIds],
  ['select id, epoch, owner from shards', epochs],
  ['select s.id from shards s join unnest', newest],
  ['from agents where id = $1', agent],
  ['= any(groups) order by id', agentsIn],
  ['update agents set presence', savePresence],
  ['select 1 from groups', groupExists],
  ['select name from groups', groups],
];

const known = new Map<string, Make>();

export function statementOf(database: SimDatabase, text: string, params: Params, rules: Rules): Statement {
  let make = known.get(text);
  if (make === undefined) {
    make = table.find(([part]) => text.includes(part))?.[1];
    if (make === undefined) throw new Error(`the simulated database does not know this statement: ${text}`);
    known.set(text, make);
  }
  return make(database, params, rules, text);
}

function list(value: unknown): string[] {
  const text = (value as string).slice(1, -1);
  return text === '' ? [] : text.split(',');
}

function numbers(value: unknown): number[] {
  return list(value).map(Number);
}

function ascending(shards: readonly number[]): number[] {
  return [...new Set(shards)].sort((a, b) => a - b);
}

function reads(run: () => readonly unknown[]): Statement {
  return { locks: [], exclusive: false, run: () => ({ rows: run() }) };
}

function append(database: SimDatabase, params: Params, rules: Rules, changes: boolean): Statement {
  const [shards, terms] = [numbers(params[0]), numbers(params[1])];
  const owns = list(params[2]);
  const writer = params[3] as string;
  return {
    locks: rules.fence ? ascending(shards) : [],
    exclusive: false,
    run: () => {
      const held = new Set<number>();
      for (const [index, shard] of shards.entries()) {
        const row = database.shards[shard]!;
        const own = owns[index] === 't';
        const isOn = own ? rules.fence : rules.extraFence;
        const fits = row.epoch === terms[index] && (!own || !rules.writer || row.writer === writer);
        if (!isOn || fits) held.add(index + 1);
      }
      const places = numbers(params[6]);
      const extra = changes ? numbers(params[8]) : places.map(() => 0);
      const seqs = numbers(params[5]);
      const data = (params[7] as string).split('\u0001');
      const given = list(params[4]).map((session, index) => ({ session, index, place: places[index]! }));
      const isBad = ({ index, place }: { index: number; place: number }): boolean =>
        !held.has(place) || (extra[index]! > 0 && !held.has(extra[index]!));
      const bad = new Set(given.filter(isBad).map(({ session }) => session));
      const added: Added[] = given
        .filter((item) => (changes ? !bad.has(item.session) : !isBad(item)))
        .map(({ session, index, place }) => ({
          session,
          seq: seqs[index]!,
          data: data[index]!,
          shard: shards[place - 1]!,
          epoch: terms[place - 1]!,
          writer,
        }));
      const states = changes ? (JSON.parse(params[9] as string) as SessionRow[]) : [];
      const rows = [{ held: [...held].join(','), bad: [...bad].join(',') }];
      return {
        rows,
        commit: () =>
          database.add(
            added,
            states.filter((state) => !bad.has(state.id)),
          ),
      };
    },
  };
}

function take(database: SimDatabase, params: Params, rules: Rules, text: string): Statement {
  const growing = text.includes('s.writer <= $4 collate "C"');
  const [shards, terms] = [numbers(params[0]), numbers(params[1])];
  const [owner, writer] = [params[2] as string, params[3] as string];
  return {
    locks: ascending(shards),
    exclusive: true,
    run: () => {
      const mine = shards
        .map((id, index) => ({ id, epoch: terms[index]! }))
        .filter(({ id, epoch }) => {
          const row = database.shards[id]!;
          if (!rules.takeChecksEpoch || row.epoch < epoch) return true;
          if (growing && row.writer > writer) return false;
          return row.epoch === epoch && (row.owner === owner || !rules.takeChecksOwner);
        });
      return {
        rows: mine.map(({ id }) => ({ id })),
        commit: () => {
          for (const { id, epoch } of mine) Object.assign(database.shards[id]!, { epoch, owner, writer });
        },
      };
    },
  };
}

function takeWriter(database: SimDatabase, params: Params, _rules: Rules, text: string): Statement {
  const growing = text.includes('s.writer < $3 collate "C"');
  const owner = text.includes('s.owner = $4') ? params[3] : undefined;
  const [shards, terms] = [numbers(params[0]), numbers(params[1])];
  const writer = params[2] as string;
  return {
    locks: ascending(shards),
    exclusive: true,
    run: () => {
      const mine = shards.filter((id, index) => {
        const row = database.shards[id]!;
        if (owner !== undefined && row.owner !== owner) return false;
        return row.epoch === terms[index] && (!growing || row.writer < writer);
      });
      return {
        rows: [],
        commit: () => {
          for (const id of mine) database.shards[id]!.writer = writer;
        },
      };
    },
  };
}

function lookUp(database: SimDatabase, params: Params): Statement {
  const sessions = list(params[0]);
  const seqs = numbers(params[1]);
  return reads(() =>
    sessions.flatMap((session, index) =>
      (database.events.get(session) ?? []).filter((event) => event.seq === seqs[index]),
    ),
  );
}

function loadSession(database: SimDatabase, [, id]: Params): Statement {
  return reads(() => {
    const row = database.sessions.get(id as string);
    const last = database.events.get(id as string)?.at(-1)?.seq ?? null;
    return row === undefined ? [] : [{ ...row, last_seq: last }];
  });
}

function sessionsWhere(
  database: SimDatabase,
  fits: (row: SessionRow) => boolean,
  order: (a: SessionRow, b: SessionRow) => number = byId,
): SessionRow[] {
  return [...database.sessions.values()].filter(fits).sort(order);
}

function byId(a: SessionRow, b: SessionRow): number {
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}

function ofCustomer(database: SimDatabase, [customer]: Params): Statement {
  return reads(() => {
    const all = sessionsWhere(database, (row) => row.customer === customer);
    const open = all.filter((row) => row.state !== 'closed');
    return [all.at(-1), open.at(-1)].filter((row) => row !== undefined);
  });
}

function heldBy(database: SimDatabase, [id]: Params): Statement {
  return reads(() => sessionsWhere(database, (row) => row.agent === id && row.state === 'chatting'));
}

function holders(database: SimDatabase): Statement {
  return reads(() => {
    const agents = sessionsWhere(database, (row) => row.state === 'chatting').map((row) => row.agent);
    return [...new Set(agents)].map((holder) => ({ agent: holder }));
  });
}

function waitingIn(database: SimDatabase, [group, limit]: Params): Statement {
  const order = (a: SessionRow, b: SessionRow): number =>
    b.priority - a.priority || a.waiting_since - b.waiting_since || byId(a, b);
  const waits = (row: SessionRow): boolean =>
    row.group_name === group && (row.state === 'waiting' || row.state === 'transferring');
  return reads(() => sessionsWhere(database, waits, order).slice(0, limit as number));
}

function range(database: SimDatabase, [session, after, last]: Params): Statement {
  return reads(() =>
    (database.events.get(session as string) ?? []).filter(
      ({ seq }) => seq > (after as number) && seq <= (last as number),
    ),
  );
}

function messageIds(database: SimDatabase, [session, after, limit]: Params): Statement {
  return reads(() =>
    (database.events.get(session as string) ?? [])
      .filter(({ seq }) => seq > (after as number))
      .map(({ seq, data }) => ({
        seq,
        event: JSON.parse(data) as { type: string; id: string; from: { id: string } },
      }))
      .filter(({ event }) => event.type === 'message')
      .slice(0, limit as number)
      .map(({ seq, event }) => ({ seq, sender: event.from.id, id: event.id })),
  );
}

function epochs(database: SimDatabase): Statement {
  return reads(() => database.shards.map(({ id, epoch, owner }) => ({ id, epoch, owner })));
}

function newest(database: SimDatabase, params: Params): Statement {
  const [shards, terms] = [numbers(params[0]), numbers(params[1])];
  return reads(() =>
    shards.filter((id, index) => database.shards[id]!.epoch === terms[index]).map((id) => ({ id })),
  );
}

function agent(database: SimDatabase, [id]: Params): Statement {
  return reads(() => [database.agents.get(id as string)].filter((row) => row !== undefined));
}

function agentsIn(database: SimDatabase, [group]: Params): Statement {
  return reads(() =>
    [...database.agents.entries()]
      .filter(([, row]) => (row['groups'] as string).split(',').includes(group as string))
      .map(([id]) => ({ id })),
  );
}

function savePresence(database: SimDatabase, [presence, id]: Params): Statement {
  return {
    locks: [],
    exclusive: false,
    run: () => ({
      rows: [],
      commit: () => {
        const row = database.agents.get(id as string);
        if (row === undefined) throw new ServerError('P0002', 'no such agent');
        row.presence = presence as string;
      },
    }),
  };
}

function groupExists(database: SimDatabase, [name]: Params): Statement {
  return reads(() => (database.groups.has(name as string) ? [{}] : []));
}

function groups(database: SimDatabase): Statement {
  return reads(() => [...database.groups].map((name) => ({ name })));
}
