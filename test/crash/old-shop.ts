import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { messageEvent } from '../../src/actors/session-events.ts';
import type { SimChance } from '../sim/chance.ts';
import { IdSource } from '../../src/core/ids.ts';
import type { ObjectsLocation } from '../../src/core/objects-url.ts';
import { realChance, realClock } from '../../src/core/real-clock.ts';
import { ColdEvents } from '../../src/store/cold-events.ts';
import { Reader } from '../../src/store/database.ts';
import { TieredHistory } from '../../src/store/history.ts';
import type { ObjectStore } from '../../src/store/object-store.ts';
import { openObjectStore } from '../../src/store/open-object-store.ts';
import { Rights } from '../../src/store/rights.ts';
import { ArchiveDictionaries } from '../../src/store/segment-store.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { archiveShard, type Job } from './archive-worker.ts';

const workerFile = fileURLToPath(new URL('archive-worker.ts', import.meta.url));
const jobMs = 30_000;

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly said: string;
}

/** A shop’s closed sessions, the plain list of what was said in them, and processes that archive them. */
export class OldShop {
  /** Session → its events; those that must be there, whole. */
  readonly model = new Map<string, readonly string[]>();
  /** Sessions whose erasure was asked for: whole or gone, as long as it is not done. */
  readonly doomed = new Map<string, readonly string[]>();
  /** What a reader found wrong. */
  readonly faults: string[] = [];
  reads = 0;
  readonly store: ObjectStore;
  readonly #pg: TestPostgres;
  readonly #objects: ObjectsLocation;
  readonly #chance: SimChance;
  readonly #reader: Reader;
  readonly #cold: ColdEvents;
  readonly #rights: Rights;
  readonly #ids = new IdSource(realClock, realChance);
  readonly #customers = new Map<string, string>();
  #epoch = 0;

  private constructor(pg: TestPostgres, objects: ObjectsLocation, store: ObjectStore, chance: SimChance) {
    this.#pg = pg;
    this.#objects = objects;
    this.store = store;
    this.#chance = chance;
    this.#reader = new Reader(pg.sql, realClock, 30_000);
    const dictionaries = new ArchiveDictionaries(this.#reader);
    this.#cold = new ColdEvents({
      reader: this.#reader,
      store,
      dictionaries,
      readsMax: 64,
    });
    this.#rights = new Rights({
      reader: this.#reader,
      clock: realClock,
      ids: this.#ids,
      forget: () => undefined,
      deleteObject: (object) => store.delete(object),
    });
  }

  static async open(pg: TestPostgres, objects: ObjectsLocation, chance: SimChance): Promise<OldShop> {
    await pg.sql`truncate events, cold, segments, sessions, customers, files, feed, search, erasures cascade`;
    const ignore = (): void => undefined;
    const store = await openObjectStore({
      location: objects,
      clock: realClock,
      chance: realChance,
      observer: { ended: ignore, moved: ignore, retried: ignore },
    });
    return new OldShop(pg, objects, store, chance);
  }

  /** Closed sessions, each of a customer of its own. */
  async add(sessions: number): Promise<void> {
    const rows: object[] = [];
    const events: object[] = [];
    const said = new Map<string, readonly string[]>();
    for (let n = 0; n < sessions; n += 1) {
      const [session, customer] = [this.#ids.next(), this.#ids.next()];
      const texts = Array.from({ length: 1 + Math.floor(this.#chance.next() * 60) }, (_, index) => {
        const { json } = messageEvent(
          session,
          index + 1,
          Date.now(),
          customer,
          `{"kind":"customer","id":"${customer}","name":"Mei"}`,
          this.#ids.next(),
          `第 ${index + 1} 句: where is order ${Math.floor(this.#chance.next() * 1e12).toString(36)}, 请问什么时候发货？`,
        );
        events.push({ session, seq: index + 1, json });
        return json;
      });
      rows.push({ session, customer });
      said.set(session, texts);
      this.#customers.set(session, customer);
    }
    await this.#pg.sql.begin(async (sql) => {
      const list = JSON.stringify(rows);
      await sql`
        insert into customers (id, name, channel, attributes, created_at)
        select customer, 'Mei', 'web', '{}', 0 from json_to_recordset(${list}::text::json) r (customer uuid)`;
      await sql`
        insert into sessions (id, state, customer, customer_name, group_name, channel, attributes, priority,
          waiting_since, opened_at, closed_at, rated)
        select session, 'closed', customer, 'Mei', 'support', 'web', '{}', 0, 0, 0, ${Date.now() - 1000}, false
        from json_to_recordset(${list}::text::json) r (session uuid, customer uuid)`;
      await sql`
        insert into events (session, seq, data)
        select session, seq, json::json
        from json_to_recordset(${JSON.stringify(events)}::text::json) e (session uuid, seq int, json text)`;
    });
    for (const [session, texts] of said) this.model.set(session, texts);
  }

  /** Asks for the erasure of so many sessions’ customers; a process does it. */
  async doom(sessions: number): Promise<void> {
    // Every third, so that segments have both what goes and what stays.
    const chosen = [...this.model].filter((_one, index) => index % 3 === 0).slice(0, sessions);
    for (const [session, events] of chosen) {
      this.model.delete(session);
      this.doomed.set(session, events);
      await this.#rights.askErasure(
        this.#customers.get(session)!,
        { id: this.#ids.next(), name: 'Admin' },
        'asked',
      );
    }
  }

  /** A process with a term of its own, as after a restart. */
  async start(
    works: Job['works'],
    dieAt?: Job['dieAt'],
  ): Promise<{ child: ChildProcess; begun: Promise<void>; ended: Promise<Ended> }> {
    const [row] = await this.#pg.sql<{ epoch: number }[]>`
      update shards set epoch = epoch + 1 where id = ${archiveShard} returning epoch`;
    this.#epoch = row!.epoch;
    const job: Job = {
      address: this.#pg.address,
      objects: this.#objects,
      epoch: this.#epoch,
      works,
      ...(dieAt === undefined ? {} : { dieAt }),
    };
    const child = spawn(process.execPath, [workerFile], {
      env: { ...process.env, KEFU_TEST_JOB: JSON.stringify(job) },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      timeout: jobMs,
    });
    let said = '';
    child.stderr!.on('data', (data: Buffer) => (said += data.toString()));
    const ended = new Promise<Ended>((resolve) =>
      child.once('exit', (code, signal) => resolve({ code, signal, said })),
    );
    const begun = new Promise<void>((resolve) => child.once('message', () => resolve()));
    return { child, begun: Promise.race([begun, ended.then(() => undefined)]), ended };
  }

  async run(works: Job['works'], dieAt?: Job['dieAt']): Promise<Ended> {
    return (await this.start(works, dieAt)).ended;
  }

  /** Reads sessions by chance until it is told to stop: at every moment each is whole, in its order, once. */
  watch(): { stop(): Promise<void> } {
    let isOver = false;
    const done = (async () => {
      while (!isOver) {
        const all = [...this.model.keys()];
        const session = all[Math.floor(this.#chance.next() * all.length)];
        if (session !== undefined) await this.#read(session);
        await new Promise((resolve) => setTimeout(resolve, 4));
      }
    })();
    return {
      async stop() {
        isOver = true;
        await done;
      },
    };
  }

  async #read(session: string): Promise<void> {
    const fault = await this.#faultOf(session, this.model.get(session)!);
    this.reads += 1;
    // It may have been asked to be forgotten meanwhile.
    if (fault !== undefined && this.model.has(session)) this.faults.push(fault);
  }

  async #faultOf(session: string, events: readonly string[]): Promise<string | undefined> {
    try {
      const history = new TieredHistory(this.#reader, 1, this.#cold);
      const found = await history.range(session, 0, events.length, events.length);
      const isSame =
        found.length === events.length && found.every(({ json }, index) => json === events[index]);
      return isSame ? undefined : `${session}: ${found.length} of ${events.length}`;
    } catch (error) {
      return `${session}: ${(error as Error).message}`;
    }
  }

  async #isThere(session: string): Promise<boolean> {
    return (await this.#pg.sql`select 1 from sessions where id = ${session}::uuid`).length > 0;
  }

  /** What is wrong now: each session of the list by its content, none of another, no event in two tiers. */
  async problems(): Promise<string[]> {
    for (const session of this.model.keys()) await this.#read(session);
    const found = this.faults.splice(0);
    for (const [session, events] of this.doomed) {
      const fault = await this.#faultOf(session, events);
      // The database may still be at what a killed process has sent it.
      if (fault !== undefined && (await this.#isThere(session))) found.push(`half erased: ${fault}`);
    }
    const list = [...this.model.keys(), ...this.doomed.keys()].join(',');
    const [counts] = await this.#pg.sql<{ strange: string; twice: string }[]>`
      select (select count(*) from (select session from events union select session from cold
          except select id::uuid from string_to_table(${list}, ',') l (id)) a) as strange,
        (select count(*) from events e join cold c on c.session = e.session and e.seq <= c.last_seq) as twice`;
    if (counts!.strange !== '0') found.push(`${counts!.strange} sessions that nobody had`);
    if (counts!.twice !== '0') found.push(`${counts!.twice} events in two tiers`);
    return found;
  }

  /** After the chores were done in peace: what is left that should not be. */
  async leftovers(): Promise<string[]> {
    const found: string[] = [];
    const objects = new Set<string>();
    for await (const { key } of this.store.list('archive/')) objects.add(key);
    const rows = await this.#pg.sql<{ object: string; state: string; blocks: string; live: string }[]>`
      select s.object, s.state, s.blocks, coalesce(sum(c.length), 0) as live from segments s
      left join cold c on c.segment = s.id group by s.object, s.state, s.blocks`;
    for (const { object, state, blocks, live } of rows) {
      if (!objects.delete(object)) found.push(`${object} is gone`);
      if (state !== 'ready' || blocks !== live)
        found.push(`${object}: ${state}, ${live} of ${blocks} needed`);
    }
    for (const object of objects) found.push(`${object} is known to nobody`);
    const [warm] = await this.#pg.sql<{ count: string }[]>`select count(*) as count from events`;
    if (warm!.count !== '0') found.push(`${warm!.count} events were not archived`);
    const sessions = await this.#pg.sql<{ id: string }[]>`select id from sessions`;
    for (const { id } of sessions) if (this.doomed.has(id)) found.push(`${id} was not erased`);
    return found;
  }
}
