import { clusterCommand } from './cluster-command.ts';
import { historyCommand } from './history-command.ts';
import { loadConfig, type Config } from './config.ts';
import { startNode, type Node } from './node.ts';
import { StartError } from './core/start-error.ts';

/** The command: reads its configuration, runs a node until it is told to stop, and says in one line why it can't. */

/** Whatever happens, the process is gone by then. */
const exitWithinMs = 9_500;

/** The same signal again within this is its echo. */
const echoMs = 300;

function fail(message: string): never {
  process.stderr.write(`kefu: ${message}\n`);
  process.exit(1);
}

async function main(): Promise<void> {
  if (process.argv[2] === 'cluster') {
    const write = (to: NodeJS.WriteStream) => (text: string) => void to.write(text);
    process.exit(await clusterCommand(process.argv.slice(3), write(process.stdout), write(process.stderr)));
  }
  if (process.argv[2] === 'history') {
    const write = (to: NodeJS.WriteStream) => (text: string) => void to.write(text);
    const out = {
      print: write(process.stdout),
      complain: write(process.stderr),
      isTerminal: process.stderr.isTTY,
    };
    process.exitCode = await historyCommand(process.argv.slice(3), out);
    return;
  }
  if (process.argv[2] === 'stress') {
    // A server has no use for it: it is read only when it is asked for.
    const { stressCommand } = await import('./stress-command.ts');
    const write = (to: NodeJS.WriteStream) => (text: string) => void to.write(text);
    process.exitCode = await stressCommand(process.argv.slice(3), {
      print: write(process.stdout),
      complain: write(process.stderr),
      isTerminal: process.stdout.isTTY,
      columns: process.stdout.columns,
    });
    return;
  }
  let config: Config | undefined;
  try {
    config = loadConfig(process.argv.slice(2), process.env);
  } catch (error) {
    if (error instanceof StartError) fail(error.message);
    throw error;
  }
  if (config === undefined) return;
  let node: Node | undefined;
  let stopping = false;
  let stoppingSince = 0;
  let asked: string | undefined;
  const stop = (code: number, by: string): void => {
    if (stopping) {
      // npm hands its own signal on, so one that was sent to all of us comes twice: that is not a second one.
      if (by === asked && Date.now() - stoppingSince < echoMs) return;
      // A second signal means now: without taking the threads down one by one, which an open uWebSockets.js app aborts.
      process.kill(process.pid, 'SIGKILL');
    }
    stopping = true;
    stoppingSince = Date.now();
    asked = by;
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), exitWithinMs).unref();
    void (async () => {
      await starting?.catch(() => undefined);
      await node?.stop();
      process.exit(code);
    })();
  };
  process.on('SIGTERM', () => stop(0, 'SIGTERM'));
  process.on('SIGINT', () => stop(0, 'SIGINT'));
  const starting = startNode(config, (reason) => {
    process.stderr.write(`kefu: ${reason}\n`);
    stop(1, 'failure');
  });
  try {
    node = await starting;
  } catch (error) {
    if (error instanceof StartError) fail(error.message);
    throw error;
  }
  const lines = [
    `kefu is ready`,
    `  customers  ${node.url}/`,
    `  agents     ${node.url}/desk`,
    ...node.notes.map((note) => `  ${note}`),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

main().catch((error: unknown) => {
  fail(error instanceof Error ? (error.stack ?? error.message) : String(error));
});
