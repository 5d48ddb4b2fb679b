import { parseArgs } from 'node:util';

/**
 * The flags of a subject of the bench. All have `--smoke`, `--json FILE` and `--help`; each of the others has a value. What
 * is wrong ends the process, with how it should be.
 */
export class Flags<Name extends string> {
  readonly isSmoke: boolean;
  readonly json: string | undefined;
  readonly #usage: string;
  readonly #values: Readonly<Record<string, string | boolean | undefined>>;

  constructor(args: readonly string[], usage: string, names: readonly Name[]) {
    this.#usage = usage;
    const own = Object.fromEntries(names.map((name) => [name, { type: 'string' as const }]));
    this.#values = this.#tried(
      () =>
        parseArgs({
          args: [...args],
          options: {
            ...own,
            smoke: { type: 'boolean' },
            json: { type: 'string' },
            help: { type: 'boolean' },
          },
        }).values,
    );
    if (this.#values['help'] === true) {
      process.stdout.write(usage);
      process.exit(0);
    }
    this.isSmoke = this.#values['smoke'] === true;
    this.json = this.text('json' as Name);
  }

  text(name: Name): string | undefined {
    return this.#values[name] as string | undefined;
  }

  number(name: Name, otherwise: number): number {
    return this.numbers(name, [otherwise])[0]!;
  }

  /** Several, with commas between them. */
  numbers(name: Name, otherwise: readonly number[]): readonly number[] {
    const text = this.text(name);
    if (text === undefined) return otherwise;
    const numbers = text.split(',').map(Number);
    if (text === '' || !numbers.every((it) => it > 0 && Number.isFinite(it)))
      this.#fail(`--${name}: ${JSON.stringify(text)} is no number above 0`);
    return numbers;
  }

  /** Milliseconds of what is given in seconds. */
  seconds(name: Name, otherwiseMs: number): number {
    return this.number(name, otherwiseMs / 1000) * 1000;
  }

  /** Those of `all` that are named, or `otherwise`. */
  some<T extends string>(name: Name, all: readonly T[], otherwise: readonly T[] = all): readonly T[] {
    const asked = this.text(name)?.split(',');
    if (asked === undefined) return otherwise;
    const unknown = asked.find((it) => !all.some((known) => known === it));
    if (unknown !== undefined) this.#fail(`--${name}: ${unknown} is none of ${all.join(', ')}`);
    return all.filter((it) => asked.includes(it));
  }

  #tried<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      return this.#fail((error as Error).message);
    }
  }

  #fail(why: string): never {
    process.stderr.write(`${why}\n${this.#usage}`);
    process.exit(2);
  }
}
