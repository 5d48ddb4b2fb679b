import { agentActors } from '../../src/actors/agent.ts';
import { customerActors } from '../../src/actors/customer.ts';
import { ActorSystem } from '../../src/actors/engine/system.ts';
import type { ActorKind } from '../../src/actors/engine/types.ts';
import {
  gatewayKind,
  sessionKind,
  type AgentProfile,
  type GatewayMessage,
  type Presence,
} from '../../src/actors/messages.ts';
import type { AppendRequest, Directory, History, Journal, Sessions } from '../../src/actors/ports.ts';
import { queueActors } from '../../src/actors/queue.ts';
import { waitingEntry } from '../../src/actors/session-effects.ts';
import { sessionActors } from '../../src/actors/session.ts';
import { IdSource, shardOf } from '../../src/core/ids.ts';
import type { EventOut } from '../../src/protocol/session-view.ts';
import { compareWaiting } from '../../src/rules/assignment.ts';
import type { SessionState } from '../../src/rules/session.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

/** Decides when something that was asked of the store comes back. */
export type Later = (label: string) => Promise<unknown>;

export interface Committed {
  readonly session: string;
  readonly type: string;
  readonly agent: string | undefined;
}

/** All actors of a node on a virtual clock, over tables in memory that answer when the test says so. */
export class World {
  readonly clock = new VirtualClock();
  readonly system: ActorSystem;
  readonly tables = new Map<string, SessionState>();
  readonly log: Committed[] = [];
  readonly crashes: unknown[] = [];
  readonly #agents: ReadonlyMap<string, AgentProfile>;
  readonly #presence = new Map<string, Presence>();
  readonly #queue: AppendRequest[] = [];
  readonly #later: Later;
  #flying = false;

  constructor(agents: readonly AgentProfile[], later: Later) {
    this.#agents = new Map(agents.map((agent) => [agent.id, agent]));
    this.#later = later;
    let next = 0;
    const chance = { next: () => 0.5, bytes: (target: Uint8Array) => target.fill((next += 1)) };
    const ids = new IdSource(this.clock, chance);
    const common = { mailboxMax: 1000, idleMs: 60_000 };
    const { journal, history, sessions, directory } = this.#ports();
    const gateway: ActorKind<GatewayMessage> = {
      ...gatewayKind,
      ...common,
      create: () => ({ receive: () => undefined }),
    };
    const kinds = [
      sessionActors({
        isFar: () => false,
        journal,
        history,
        sessions,
        ids,
        messagesMax: 1000,
        pageMax: 100,
        ...common,
      }),
      agentActors({
        journal,
        sessions,
        directory,
        graceMs: 2_000,
        onAway: 'queue',
        reserveMs: 3_000,
        connectionsMax: 5,
        ...common,
      }),
      queueActors({ sessions, directory, lengthMax: 1000, ...common }),
      customerActors({ journal, sessions, ids, ...common }),
      gateway,
    ] as unknown as readonly ActorKind<unknown>[];
    this.system = new ActorSystem({
      clock: this.clock,
      router: { ownerOf: () => undefined, send: () => false },
      kinds,
      limits: {
        turnMessages: 16,
        turnMs: 5,
        restartsMax: 5,
        restartWindowMs: 30_000,
        restartBackoffMinMs: 50,
        restartBackoffMaxMs: 1000,
        asksMax: 1000,
      },
      observer: {
        deadLetters: () => undefined,
        crashed: (report) => this.crashes.push(report.error),
        restarted: () => undefined,
        escalated: () => undefined,
      },
    });
  }

  #ports(): { journal: Journal; history: History; sessions: Sessions; directory: Directory } {
    const read = async <T>(label: string, value: () => T): Promise<T> => {
      await this.#later(label);
      return value();
    };
    const all = (): SessionState[] => [...this.tables.values()];
    return {
      journal: {
        append: (request) => {
          this.#queue.push(request);
          void this.#fly();
          return true;
        },
        heard: () => undefined,
        idle: () => undefined,
        confirm: () => undefined,
        fenceOf: (key) => ({ shard: shardOf(key), epoch: 1 }),
      },
      history: {
        forget: () => undefined,
        keep: () => undefined,
        range: (): readonly EventOut[] => [],
        messageIds: () => Promise.resolve(),
      },
      sessions: {
        load: (id) => read('load', () => this.tables.get(id)),
        ofCustomer: (customer) =>
          read('ofCustomer', () => {
            const mine = all().filter((state) => state.customer.id === customer);
            const open = mine.find((state) => state.state !== 'closed');
            return { open: open?.id ?? null, last: null, lastAgent: mine.at(-1)?.lastAgent ?? null };
          }),
        heldBy: (agent) =>
          read('heldBy', () =>
            all()
              .filter((state) => state.state === 'chatting' && state.agent?.id === agent)
              .map((state) => state.id),
          ),
        waitingIn: (group) =>
          read('waitingIn', () =>
            all()
              .filter((state) => state.group === group && ['waiting', 'transferring'].includes(state.state))
              .map(waitingEntry)
              .sort(compareWaiting),
          ),
      },
      directory: {
        agent: (id) =>
          read('agent', () => {
            const agent = this.#agents.get(id);
            return agent === undefined
              ? undefined
              : { ...agent, presence: this.#presence.get(id) ?? agent.presence };
          }),
        agentsIn: (group) =>
          read('agentsIn', () =>
            [...this.#agents.values()].filter((it) => it.groups.includes(group)).map((it) => it.id),
          ),
        savePresence: (id, presence) => read('savePresence', () => void this.#presence.set(id, presence)),
        groupExists: () => Promise.resolve(true),
      },
    };
  }

  /** One transaction at a time, of everything that waits: as the real journal. */
  async #fly(): Promise<void> {
    if (this.#flying) return;
    this.#flying = true;
    while (this.#queue.length > 0) {
      const batch = this.#queue.splice(0);
      await this.#later('commit');
      for (const request of batch) {
        if (request.state !== undefined) this.tables.set(request.session, request.state);
        for (const event of request.events) {
          const { agent } = JSON.parse(event.json) as { agent?: { id: string } };
          this.log.push({ session: request.session, type: event.type, agent: agent?.id });
        }
        const { session, instance, events } = request;
        this.system.notify(sessionKind, session, { type: 'committed', instance, count: events.length });
      }
    }
    this.#flying = false;
  }
}
