import { Histogram } from '../../src/stress/histogram.ts';

/** So many askers with one question at a time, or so many questions a second. */
export type Load = { readonly inFlight: number } | { readonly perSecond: number };

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

export function askFor(ask: (number: number) => Promise<void>, load: Load, ms: number): Promise<Asked> {
  return 'perSecond' in load ? askAt(ask, load.perSecond, ms) : askInTurn(ask, load.inFlight, ms);
}

async function askInTurn(
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
  return asked(latency, started);
}

/** So many a second whatever comes back; a latency counts from when its question was due. */
async function askAt(ask: (number: number) => Promise<void>, perSecond: number, ms: number): Promise<Asked> {
  const latency = new Histogram();
  const started = performance.now();
  const answers: Promise<void>[] = [];
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const sinceMs = performance.now() - started;
      for (; answers.length < (Math.min(sinceMs, ms) / 1000) * perSecond;) {
        const dueMs = started + (answers.length / perSecond) * 1000;
        next += 1;
        answers.push(ask(next).then(() => latency.add(performance.now() - dueMs)));
      }
      if (sinceMs < ms) return;
      clearInterval(timer);
      resolve();
    }, 1);
  });
  await Promise.all(answers);
  return asked(latency, started);
}

function asked(latency: Histogram, started: number): Asked {
  return {
    count: latency.count,
    perSecond: (latency.count / (performance.now() - started)) * 1000,
    p50Ms: latency.percentile(0.5),
    p99Ms: latency.percentile(0.99),
  };
}
