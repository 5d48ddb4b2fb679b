import type { SeededChance } from './chance.ts';

/**
 * Who arrives when, fixed before the first answer comes: an open loop. A server that is slow gets the same load as one
 * that is fast, and every latency counts from the time that stands here.
 *
 *   rate of arrivals     ┌── surge ─┐ 10 ×
 *                       ╱            │
 *   fill ──┐           ╱             │
 *          └──────────┘              └─────────
 *   0    warm-up   1/4                5/8     end
 */
export const profiles = ['steady', 'surge', 'storm', 'reconnect'] as const;
export type Profile = (typeof profiles)[number];

export interface Shape {
  readonly profile: Profile;
  /** Conversations at once, on average. */
  readonly customers: number;
  readonly warmupMs: number;
  /** Measured, after the warm-up. */
  readonly durationMs: number;
  /** Of a conversation, on average: by Little's law arrivals come at customers / length. */
  readonly lengthMs: number;
}

/** A stretch of the run with figures of its own. `before` everything is the warm-up, of which none are kept. */
export interface Phase {
  readonly name: 'whole' | 'before' | 'during' | 'after';
  /** From the start of the run, warm-up included. */
  readonly fromMs: number;
  readonly toMs: number;
}

export const surgeTimes = 10;
const surgeRampMs = 60_000;

export function phasesOf({ profile, warmupMs, durationMs }: Shape): Phase[] {
  // Whole seconds, as the figures come.
  const at = (share: number): number => warmupMs + Math.round((durationMs * share) / 1000) * 1000;
  const cuts: Record<Profile, readonly (readonly [Phase['name'], number, number])[]> = {
    steady: [['whole', 0, 1]],
    surge: [
      ['before', 0, 0.25],
      ['during', 0.25, 0.625],
      ['after', 0.625, 1],
    ],
    storm: [
      ['before', 0, 1 / 3],
      ['during', 1 / 3, 2 / 3],
      ['after', 2 / 3, 1],
    ],
    reconnect: [
      ['before', 0, 0.5],
      ['after', 0.5, 1],
    ],
  };
  return cuts[profile].map(([name, from, to]) => ({ name, fromMs: at(from), toMs: at(to) }));
}

/** How many times the usual arrivals come at this time. */
export function surgeAt(shape: Shape, atMs: number): number {
  if (shape.profile !== 'surge') return 1;
  const during = phasesOf(shape)[1]!;
  if (atMs < during.fromMs || atMs >= during.toMs) return 1;
  const rampMs = Math.min(surgeRampMs, (during.toMs - during.fromMs) / 2);
  return 1 + (surgeTimes - 1) * Math.min(1, (atMs - during.fromMs) / rampMs);
}

/** Arrivals a millisecond. During the warm-up those come too who would have been there already. */
export function arrivalRate(shape: Shape, atMs: number): number {
  const { customers, lengthMs, warmupMs } = shape;
  const usual = customers / lengthMs;
  if (atMs < warmupMs) return customers / warmupMs + (usual * atMs) / warmupMs;
  return usual * surgeAt(shape, atMs);
}

/** Milliseconds from the start, in order, to the end of the run: a Poisson process of that rate, thinned. */
export function* arrivals(shape: Shape, share: number, chance: SeededChance): Generator<number> {
  const { customers, lengthMs, warmupMs, durationMs } = shape;
  const usual = customers / lengthMs;
  const endMs = warmupMs + durationMs;
  for (let at = 0; ;) {
    const isWarm = at >= warmupMs;
    const most = isWarm
      ? usual * (shape.profile === 'surge' ? surgeTimes : 1)
      : usual + customers / Math.max(warmupMs, 1);
    const next = at + chance.exponential(1 / (most * share));
    // What is drawn over a change of the ceiling is drawn again from there: it has no memory.
    if (!isWarm && next >= warmupMs) {
      at = warmupMs;
      continue;
    }
    at = next;
    if (at >= endMs) return;
    if (chance.next() * most < arrivalRate(shape, at)) yield at;
  }
}
