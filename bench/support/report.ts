import { machine } from './machine.ts';

/** One line of a report: what was measured, the figure, the same of the bare peer, and what is wanted. */
export type Row = readonly [figure: string, kefu: string, bare: string, wanted: string];

export const none = '–';

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Of a list that need not be sorted: the smallest value that `share` of them don't exceed. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)]!;
}

/** The median and, of several rounds, the least and the most. */
export function spread(values: readonly number[], digits = 0): string {
  if (values.length === 0) return none;
  const show = (value: number): string =>
    value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
  if (values.length === 1) return show(values[0]!);
  return `${show(median(values))} (${show(Math.min(...values))} to ${show(Math.max(...values))})`;
}

/** A table in Markdown. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
}

/** What the figures were taken on, and when. */
export function machineLine(): string {
  const { cpu, cores, memory, linux, node, postgresql, date } = machine();
  return `${cpu}, ${cores} cores, ${memory}, Linux ${linux}; Node ${node}, PostgreSQL ${postgresql}; ${date} UTC`;
}

export function markdown(rows: readonly Row[], notes: readonly string[]): string {
  const withBare = rows.some((row) => row[2] !== none);
  const shown = rows.map((row) => (withBare ? row : [row[0], row[1], row[3]]));
  const head = withBare ? ['figure', 'kefu', 'bare', 'wanted'] : ['figure', 'kefu', 'wanted'];
  return `${[machineLine(), '', ...table(head, shown), '', ...notes].join('\n')}\n`;
}
