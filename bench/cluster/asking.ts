import { Histogram } from '../../src/stress/histogram.ts';

/** What all who ask across nodes ask for, and how it is measured: kefu, bare NATS, Moleculer. */
export interface Asked {
  readonly count: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface Question {
  readonly type: 'question';
  readonly number: number;
  readonly text: string;
}

export const askMs = 5000;
const text = 'Is the blue one in stock in size 42, and when would it be here? 谢谢!';

export function question(number: number): Question {
  return { type: 'question', number, text };
}

export function compare(answer: Question, number: number): void {
  if (answer.number !== number || answer.text !== text) throw new Error('another answer than was asked for');
}

let next = 1e9;

/** `inFlight` askers, each with one question at a time. */
export async function askFor(
  ask: (number: number) => Promise<void>,
  inFlight: number,
  ms: number,
): Promise<Asked> {
  const latency = new Histogram();
  const started = performance.now();
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      for (let now = performance.now(); now - started < ms;) {
        next += 1;
        await ask(next);
        const answered = performance.now();
        latency.add(answered - now);
        now = answered;
      }
    }),
  );
  return {
    count: latency.count,
    perSecond: (latency.count / (performance.now() - started)) * 1000,
    p50Ms: latency.percentile(0.5),
    p99Ms: latency.percentile(0.99),
  };
}
