/**
 * What every engine is told to do. Message number k bears k & 1023; an actor adds what it is told, and an engine's
 * sum is compared with `sumOf`: whoever does less work says so.
 */
export type Order =
  /** Bursts of tells to `actors` actors in turn; a burst ends when the last one told has answered for its sum. */
  | { readonly do: 'tell'; readonly actors: number; readonly burst: number; readonly count: number }
  /** One token goes round so many actors. */
  | { readonly do: 'ring'; readonly actors: number; readonly count: number }
  /** `plain`: a question and its answer; `call`: as a gen_server is asked, for those that know the difference. */
  | {
      readonly do: 'ask';
      readonly how: 'plain' | 'call';
      readonly inFlight: number;
      readonly count: number;
    }
  /** A mailbox is filled to `depth` before its actor has a turn, and drained. */
  | { readonly do: 'depth'; readonly depth: number; readonly count: number }
  /** The same between two threads. */
  | { readonly do: 'cross'; readonly burst: number; readonly count: number }
  | { readonly do: 'cross_ask'; readonly inFlight: number; readonly count: number }
  /** As many actors that were not there get a message each; then all end. */
  | { readonly do: 'wake'; readonly actors: number };

export interface Done {
  readonly ms: number;
  readonly count: number;
  readonly sum: number;
  /** Memory of an actor, where actors were counted. */
  readonly bytes: number;
  /** How long the end of all actors took, where that was measured. */
  readonly endMs: number;
}

/** An engine, in a process of its own. */
export interface Side {
  /** What it is, with its version. */
  readonly label: string;
  ask(order: Order): Promise<Done>;
  close(): void;
}

export const valueOf = (number: number): number => number & 1023;

/** What an engine that did all of an order must have added up. */
export function sumOf(order: Order): number {
  if (order.do === 'ring') return sumTo(order.count + 1);
  if (order.do === 'wake') return sumTo(order.actors);
  if (order.do === 'depth') return sumTo(order.depth) * fillsOf(order);
  return sumTo(order.count);
}

export function fillsOf({ depth, count }: { readonly depth: number; readonly count: number }): number {
  return Math.max(1, Math.floor(count / depth));
}

function sumTo(count: number): number {
  const whole = Math.floor(count / 1024);
  const rest = count % 1024;
  return whole * 523_776 + (rest * (rest - 1)) / 2;
}
