import type { SeededChance } from './chance.ts';
import { agentLines, customerLines, openings, thanks, type Language } from './talk.ts';

/** One conversation as its customer will have it, whatever the server does: times count from the arrival. */
export interface Conversation {
  readonly turns: readonly Turn[];
  readonly closeAfterMs: number;
  /** Undefined: does not rate. */
  readonly score: number | undefined;
}

export interface Turn {
  readonly afterMs: number;
  readonly text: string;
  /** The connection is lost once this was said: at once, with its ack on the way, or a little later. */
  readonly drop: 'unanswered' | 'quiet' | undefined;
  /** For how long it is away then. */
  readonly awayMs: number;
}

export interface Pace {
  /** Between two things that a customer says, on average. */
  readonly thinkMs: number;
  readonly dropShare: number;
}

export const turnsMean = 6;
const dropShare = 0.04;
const awayMeanMs = 1500;
const ratingShare = 0.6;

/** Milliseconds of a whole conversation on average: the turns, and the pause before the good-bye. */
export function lengthOf(thinkMs: number): number {
  return (turnsMean + 1) * thinkMs;
}

/** The think time by which `customers` conversations make `perSecond` messages, each answered by the agent. */
export function paceOf(customers: number, perSecond: number): Pace {
  const thinkMs = (customers * 2 * turnsMean * 1000) / ((turnsMean + 1) * perSecond);
  return { thinkMs, dropShare };
}

/** The number of turns has no memory, so that those who are there at the start are like those who come later. */
export function conversation(chance: SeededChance, pace: Pace): Conversation {
  const language: Language = chance.isTrue(0.5) ? 'zh' : 'en';
  const turns: Turn[] = [];
  let afterMs = 0;
  do {
    afterMs += thinkTime(chance, pace.thinkMs);
    const isDrop = chance.isTrue(pace.dropShare);
    turns.push({
      afterMs,
      text: textOf(chance, language, turns.length),
      drop: isDrop ? (chance.isTrue(0.5) ? 'unanswered' : 'quiet') : undefined,
      awayMs: isDrop ? 100 + chance.exponential(Math.min(awayMeanMs, pace.thinkMs)) : 0,
    });
  } while (!chance.isTrue(1 / turnsMean));
  return {
    turns,
    closeAfterMs: afterMs + thinkTime(chance, pace.thinkMs),
    score: chance.isTrue(ratingShare) ? 1 + Math.floor(chance.next() * 5) : undefined,
  };
}

/** Nobody types in no time: a fifth of the mean is the least. */
function thinkTime(chance: SeededChance, meanMs: number): number {
  return meanMs * 0.2 + chance.exponential(meanMs * 0.8);
}

/** From when a customer's message is at its agent to when the answer is due. */
export function replyAfter(chance: SeededChance, pace: Pace): number {
  return thinkTime(chance, pace.thinkMs * 0.4);
}

export function replyText(chance: SeededChance): string {
  return chance.pick(agentLines[chance.isTrue(0.5) ? 'zh' : 'en']);
}

function textOf(chance: SeededChance, language: Language, turn: number): string {
  if (turn === 0) return chance.pick(openings[language]);
  return chance.pick(chance.isTrue(0.15) ? thanks[language] : customerLines[language]);
}
