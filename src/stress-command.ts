import { randomInt } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { StartError } from './core/start-error.ts';
import { readOptions, usage, type Options } from './stress/options.ts';
import { reportPage } from './stress/report.ts';
import { startOwnNode, type OwnNode } from './stress/own-node.ts';
import { runLoad } from './stress/run.ts';
import { summary } from './stress/summary.ts';
import { nodesOf, type Node } from './stress/target.ts';
import { viewOf, type Screen } from './stress/view.ts';
import { wordsOf } from './stress/words.ts';

/** `kefu stress`: the load test mode for operators, by protocol alone. */
interface Output extends Screen {
  readonly complain: (text: string) => void;
}

const demoAdmin = { email: 'admin@demo.kefu', password: 'demo' };

/** 0: all is well; 1: a threshold was missed; 2: it could not be run; 3: the contract was broken. */
export async function stressCommand(args: readonly string[], out: Output): Promise<number> {
  const stop = new AbortController();
  let asked = 0;
  const onSignal = (): void => {
    asked += 1;
    if (asked > 1) process.exit(2);
    stop.abort();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  let own: OwnNode | undefined;
  try {
    const options = readOptions(args, process.env, randomInt(2 ** 31));
    if (options === undefined) {
      out.print(usage);
      return 0;
    }
    const words = wordsOf(options.language);
    if (options.urls === undefined) {
      out.print(`${words.starting}\n`);
      own = await startOwnNode(process.env);
      out.print(`${words.readyNode} ${own.url}\n`);
    }
    const nodes = await nodesOf(options.urls ?? own!.url);
    const admin = own === undefined ? options.admin : demoAdmin;
    mayLoad(options, nodes, admin, out);
    const view = viewOf(out, options, words);
    const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
      version: string;
    };
    const result = await runLoad({
      options,
      nodes,
      admin: admin!,
      version,
      show: (live) => view.show(live),
      signal: stop.signal,
    });
    view.end();
    if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(result, undefined, 2)}\n`);
    if (options.report !== undefined)
      writeFileSync(options.report, reportPage(result, words, options.language));
    out.print(summary(result, words));
    return result.exitCode;
  } catch (error) {
    const known = error instanceof StartError || (error as NodeJS.ErrnoException).code !== undefined;
    const { message, stack } = error as Error;
    out.complain(`kefu: ${known ? message : (stack ?? message)}\n`);
    return 2;
  } finally {
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
    await own?.remove();
  }
}

/** By mistake nobody shall load what others work with. Throws StartErrors. */
function mayLoad(
  { isSure, rate, agents }: Options,
  nodes: readonly Node[],
  admin: Options['admin'],
  out: Output,
): void {
  const far = nodes.find(({ isLoopback }) => !isLoopback);
  if (far !== undefined && !isSure)
    throw new StartError(
      `${far.url} is not on this machine: a load test makes customers, sessions and agents there, and may slow it down for everybody; say --yes if that is meant`,
    );
  if (admin === undefined)
    throw new StartError('an admin makes the agents: --admin EMAIL:PASSWORD, or KEFU_STRESS_ADMIN');
  const each = rate / 2 / agents;
  if (each > agentMessages)
    out.complain(
      `each agent will say ${each.toFixed(0)} messages a second; a server takes 20 a connection unless limits.messages_per_second is raised: more --agents?\n`,
    );
}

const agentMessages = 15;
