import { spreadText, type Recovery } from './faults.ts';

interface Row {
  readonly during: number[];
  readonly after: number[];
  readonly silence: number[];
}

/** How long it took, by fault. */
export class Figures {
  readonly #rows = new Map<string, Row>();

  note(name: string, { duringMs = [], afterMs = [], silenceMs }: Recovery): void {
    const row = this.#rows.get(name) ?? { during: [], after: [], silence: [] };
    this.#rows.set(name, row);
    row.during.push(...duringMs);
    row.after.push(...afterMs);
    row.silence.push(silenceMs);
  }

  lines(): string[] {
    const lines = [
      'until customers were answered again, p50 / p99 / max in ms; the longest silence of any customer',
      '| fault | times | after the damage | after the mending | longest silence |',
      '| --- | --- | --- | --- | --- |',
    ];
    for (const [name, { during, after, silence }] of [...this.#rows].sort(([a], [b]) => (a < b ? -1 : 1)))
      lines.push(
        `| ${name} | ${silence.length} | ${spreadText(during)} | ${spreadText(after)} | ${Math.max(...silence)} |`,
      );
    return lines;
  }
}
