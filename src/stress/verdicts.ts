import type { Memory, PhaseResult, Verdict } from './result.ts';
import type { Profile } from './schedule.ts';

/** What a profile is there to show, judged where it can be. */

/** A storm is noticed when acks take so many times as long, and so much longer: both, for a small number is soon doubled. */
const noticedTimes = 3;
const noticedMs = 50;

export function verdictsOf(profile: Profile, phases: readonly PhaseResult[], memory: Memory): Verdict[] {
  const phase = (name: string): PhaseResult | undefined => phases.find((it) => it.name === name);
  const [before, during, after] = [phase('before'), phase('during'), phase('after')];
  switch (profile) {
    case 'steady':
      return [];
    case 'storm':
      return [unnoticed(before, during, after), limits(during)];
    case 'surge':
      return [
        {
          name: 'queued',
          ok: null,
          values: {
            arrivedBefore: rateOf(before),
            arrivedDuring: rateOf(during),
            waitP50: during?.latencies.wait?.p50 ?? null,
            waitP99: during?.latencies.wait?.p99 ?? null,
          },
        },
      ];
    case 'reconnect':
      return [recovered(after, memory)];
  }
}

function rateOf(phase: PhaseResult | undefined): number | null {
  return phase === undefined || phase.seconds === 0 ? null : phase.counts.arrived / phase.seconds;
}

function unnoticed(
  before: PhaseResult | undefined,
  during: PhaseResult | undefined,
  after: PhaseResult | undefined,
): Verdict {
  const p99Before = before?.latencies.ack?.p99 ?? null;
  const p99During = during?.latencies.ack?.p99 ?? null;
  const isSlow =
    p99Before !== null &&
    p99During !== null &&
    p99During > p99Before * noticedTimes &&
    p99During > p99Before + noticedMs;
  const lost = during?.counts.lost ?? 0;
  const isNoticed = isSlow || lost > (before?.counts.lost ?? 0);
  return {
    name: 'unnoticed',
    ok: p99Before === null || p99During === null ? null : !isNoticed,
    values: {
      p50Before: before?.latencies.ack?.p50 ?? null,
      p50During: during?.latencies.ack?.p50 ?? null,
      p50After: after?.latencies.ack?.p50 ?? null,
      p99Before,
      p99During,
      p99After: after?.latencies.ack?.p99 ?? null,
      lost,
      ratio: p99Before === null || p99During === null ? null : p99During / p99Before,
    },
  };
}

/** Told, not judged: which limits a server has is its operator's choice. */
function limits(during: PhaseResult | undefined): Verdict {
  const { seconds = 0, counts } = during ?? {};
  const rate = (count: number | undefined): number | null => (seconds > 0 ? (count ?? 0) / seconds : null);
  return {
    name: 'limits',
    ok: null,
    values: {
      tried: rate(counts && counts.stormed + counts.stormRefused + counts.stormFailed),
      admitted: rate(counts?.stormed),
      refused: rate(counts?.stormRefused),
      failed: rate(counts?.stormFailed),
    },
  };
}

function recovered(after: PhaseResult | undefined, memory: Memory): Verdict {
  const recovery = after?.latencies.recovery;
  return {
    name: 'recovered',
    ok: recovery === undefined ? false : null,
    values: {
      people: recovery?.count ?? 0,
      p50: recovery?.p50 ?? null,
      p99: recovery?.p99 ?? null,
      all: recovery?.max ?? null,
      memoryBefore: memory.beforeBytes,
      memoryAfter: memory.afterBytes,
    },
  };
}
