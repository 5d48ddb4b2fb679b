import type { Observer } from './types.ts';

/** An observer whose failures stay its own: a throw from a report must not leave a cell half changed. */
export function guarded(observer: Observer): Observer {
  return {
    deadLetters: (count, sample) => safely(() => observer.deadLetters(count, sample)),
    crashed: (report) => safely(() => observer.crashed(report)),
    restarted: (kind, key) => safely(() => observer.restarted(kind, key)),
    escalated: (error) => safely(() => observer.escalated(error)),
  };
}

function safely(report: () => void): void {
  try {
    report();
  } catch {
    // There is nobody left to tell.
  }
}
