import { parseArgs } from 'node:util';
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

export function planOf(flags: readonly string[]): Asked {
  const { values } = parseArgs({
    args: [...flags],
    options: {
      smoke: { type: 'boolean' },
      only: { type: 'string' },
      pairs: { type: 'string' },
      'in-flight': { type: 'string' },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      json: { type: 'string' },
      charts: { type: 'string' },
      help: { type: 'boolean' },
    },
  });
  if (values.help === true) {
    process.stdout.write(usage);
    process.exit(0);
  }
  const base = values.smoke === true ? smoke : whole;
  const number = (text: string | undefined, otherwise: number): number =>
    text === undefined ? otherwise : Number(text);
  const asked = values.only?.split(',');
  const unknown = asked?.find((name) => !peerNames.some((peer) => peer === name));
  if (unknown !== undefined) throw new Error(`${unknown} is no peer:\n${usage}`);
  const plan: Plan = {
    pairs: number(values.pairs, base.pairs),
    inFlight: number(values['in-flight'], base.inFlight),
    rounds: number(values.rounds, base.rounds),
    warmMs: base.warmMs,
    runMs: values.seconds === undefined ? base.runMs : Number(values.seconds) * 1000,
    peers: peerNames.filter((name) => asked === undefined || asked.includes(name)),
  };
  return { plan, json: values.json, charts: values.charts };
}
