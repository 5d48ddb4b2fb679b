import { Flags } from '../support/flags.ts';
import { peerNames, type PeerName } from './peer.ts';

export interface Plan {
  readonly pairs: number;
  /** Messages a socket keeps on their way. */
  readonly inFlight: number;
  readonly rounds: number;
  readonly warmMs: number;
  readonly runMs: number;
  readonly peers: readonly PeerName[];
}

const whole: Plan = { pairs: 200, inFlight: 4, rounds: 3, warmMs: 1500, runMs: 5000, peers: peerNames };
export const smoke: Plan = { ...whole, pairs: 4, rounds: 1, warmMs: 200, runMs: 400 };

const usage = `npm run bench peers -- [--smoke] [--only ${peerNames.join(',')}] [--pairs N] [--in-flight N] [--rounds N] [--seconds N]
  [--json FILE] [--charts DIR]
`;

export interface Asked {
  readonly plan: Plan;
  readonly json: string | undefined;
  readonly charts: string | undefined;
}

export function planOf(args: readonly string[]): Asked {
  const flags = new Flags(args, usage, ['only', 'pairs', 'in-flight', 'rounds', 'seconds', 'charts']);
  const base = flags.isSmoke ? smoke : whole;
  const plan: Plan = {
    pairs: flags.number('pairs', base.pairs),
    inFlight: flags.number('in-flight', base.inFlight),
    rounds: flags.number('rounds', base.rounds),
    warmMs: base.warmMs,
    runMs: flags.seconds('seconds', base.runMs),
    peers: flags.some('only', peerNames),
  };
  return { plan, json: flags.json, charts: flags.text('charts') };
}
