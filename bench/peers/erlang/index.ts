import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Done, Order, Side } from '../../engine/orders.ts';
import { programOf } from '../peer.ts';

/** An Erlang VM with so many schedulers that does the engine's work; undefined where `erl` is not installed. */
export async function startErlang(schedulers: 1 | 2): Promise<Side | undefined> {
  const [compiler, machine] = [programOf('erlc'), programOf('erl')];
  if (compiler === undefined || machine === undefined) return undefined;
  const folder = mkdtempSync(join(tmpdir(), 'kefu-erl-'));
  const source = fileURLToPath(new URL('engine.erl', import.meta.url));
  const compiled = spawnSync(compiler, ['-o', folder, source], { encoding: 'utf8' });
  if (compiled.status !== 0) throw new Error(`${compiled.stdout}${compiled.stderr}`);
  const scheduling = `${schedulers}:${schedulers}`;
  const args = ['+S', scheduling, '+P', '2000000', '-noshell', '-pa', folder, '-s', 'engine', 'main'];
  const vm = new ErlangVm(
    spawn(machine, args, { stdio: ['pipe', 'pipe', 'inherit'] }),
    () => rmSync(folder, { recursive: true, force: true }),
    schedulers,
  );
  await vm.start();
  return vm;
}

class ErlangVm implements Side {
  label = '';
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #tidy: () => void;
  readonly #schedulers: number;

  constructor(child: ChildProcess, tidy: () => void, schedulers: number) {
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
    this.#tidy = tidy;
    this.#schedulers = schedulers;
  }

  /** The first line says how the VM runs its code: an interpreter would be no fair peer. */
  async start(): Promise<void> {
    const [flavor, release] = (await this.#line()).split(' ');
    if (flavor !== 'jit') throw new Error(`this Erlang has no JIT (${flavor})`);
    this.label = `Erlang/OTP ${release}, JIT, ${this.#schedulers} scheduler${this.#schedulers > 1 ? 's' : ''}`;
  }

  async ask(order: Order): Promise<Done> {
    const { do: name, ...rest } = order;
    this.#child.stdin!.write(`{${[name, ...Object.values(rest)].join(',')}}.\n`);
    const [ns, count, sum, bytes, endNs] = (await this.#line()).split(' ').map(Number);
    return { ms: ns! / 1e6, count: count!, sum: sum!, bytes: bytes!, endMs: endNs! / 1e6 };
  }

  close(): void {
    this.#child.stdin!.end();
    this.#child.kill('SIGKILL');
    this.#tidy();
  }

  async #line(): Promise<string> {
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error('the Erlang VM has ended');
    return value;
  }
}
