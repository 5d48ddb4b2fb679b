import type { Shape } from './schedule.ts';
import type { Example, Second } from './tally.ts';
import type { Node } from './target.ts';
import type { Pace } from './plan.ts';

/** What who asks for the load and its generators, which are processes of their own, say to each other. */
export interface Order {
  readonly nodes: readonly Node[];
  /** Which of so many generators this is. */
  readonly index: number;
  readonly processes: number;
  readonly seed: number;
  readonly run: string;
  readonly group: string;
  readonly shape: Shape;
  readonly pace: Pace;
  readonly startedWallMs: number;
  /** Tokens of this generator's agents. */
  readonly agents: readonly string[];
  /** Makes the storm, and nothing else. */
  readonly isStorm: boolean;
}

export type ToGenerator =
  | { readonly t: 'order'; readonly order: Order }
  /** `atMs` of the common clock is the start of the run. */
  | { readonly t: 'start'; readonly atMs: number }
  /** Nothing new is said from now on. */
  | { readonly t: 'over' }
  /** Everything is answered or given up: compare, clean up, end. */
  | { readonly t: 'finish' };

export type FromGenerator =
  /** Its agents are online. */
  | { readonly t: 'ready' }
  | { readonly t: 'second'; readonly second: Second; readonly cores: number }
  /** Nothing is on its way any more, or was given up. */
  | { readonly t: 'settled' }
  | { readonly t: 'done'; readonly examples: readonly Example[] }
  | { readonly t: 'failed'; readonly why: string };
