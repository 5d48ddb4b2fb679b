import type { Actor, ActorKind, Directive, Limits, Observer } from './types.ts';

/** What becomes of a crashed actor; `backoffMs` is there when it is restarted. */
export interface Verdict {
  readonly directive: Directive;
  readonly backoffMs: number | undefined;
}

/** How often one actor was restarted lately, which decides whether it may be again, and after how long. */
export class Supervision {
  #restartTimes: number[] = [];

  judge(kind: ActorKind<unknown>, error: unknown, nowMs: number, limits: Limits): Verdict {
    const directive = directiveFor(kind, error);
    if (directive !== 'restart') return { directive, backoffMs: undefined };
    this.#restartTimes = this.#restartTimes.filter((time) => time > nowMs - limits.restartWindowMs);
    const earlier = this.#restartTimes.length;
    if (earlier >= limits.restartsMax) return { directive: 'stop', backoffMs: undefined };
    this.#restartTimes.push(nowMs);
    const backoffMs = Math.min(limits.restartBackoffMinMs * 2 ** earlier, limits.restartBackoffMaxMs);
    return { directive, backoffMs };
  }
}

function directiveFor(kind: ActorKind<unknown>, error: unknown): Directive {
  try {
    return kind.supervise?.(error) ?? 'restart';
  } catch {
    return 'restart';
  }
}

export interface Crash {
  readonly kind: string;
  readonly key: string;
  readonly error: unknown;
  readonly lastMessage: string;
  readonly directive: Directive;
}

export function reportCrash(observer: Observer, crash: Crash, actor: Actor<unknown> | undefined): void {
  let state: unknown;
  try {
    state = actor?.describe?.();
  } catch {
    // A broken state often can't be described either; the report matters more.
    state = undefined;
  }
  observer.crashed({ ...crash, state });
}

/** A message's `type` field, which is all that a crash report may show of it. */
export function typeOf(message: unknown): string {
  if (typeof message !== 'object' || message === null || !('type' in message)) return '';
  return typeof message.type === 'string' ? message.type : '';
}
