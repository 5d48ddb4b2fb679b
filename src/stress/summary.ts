import type { Result, Verdict } from './result.ts';
import { bytesText, countText, msText, type Words } from './words.ts';

/** The result as lines, for a terminal and for the head of the report. */
export function verdictText(verdict: Verdict, words: Words): string {
  const values = Object.fromEntries(
    Object.entries(verdict.values).map(([name, value]) => [name, valueText(name, value)]),
  );
  const text = words.verdicts[verdict.name](values);
  if (verdict.name !== 'unnoticed' || verdict.ok === null) return text;
  return `${text} ${verdict.ok ? words.unnoticed : words.noticed}`;
}

function valueText(name: string, value: number | null): string {
  if (value === null) return '–';
  if (name.startsWith('memory')) return bytesText(value);
  if (/^(?:p\d|wait|all)/.test(name)) return msText(value);
  return value < 100 && !Number.isInteger(value) ? value.toFixed(1) : countText(value);
}

const shownLatencies = ['ack', 'delivery', 'connect', 'wait', 'resume', 'recovery', 'http'] as const;

export function latencyRows(result: Result, words: Words): string[][] {
  const phases = result.phases.length > 0 ? [result.whole, ...result.phases] : [result.whole];
  return shownLatencies.flatMap((name) =>
    phases.flatMap((phase) => {
      const figures = phase.latencies[name];
      if (figures === undefined) return [];
      const label = phase === result.whole ? words[name] : `  ${words.phases[phase.name as 'before']}`;
      return [
        [
          label,
          countText(figures.count),
          msText(figures.p50),
          msText(figures.p99),
          msText(figures.p999),
          msText(figures.max),
        ],
      ];
    }),
  );
}

export function warnings(result: Result, words: Words): string[] {
  const found: string[] = [];
  if (result.isCutShort) found.push(words.cutShort);
  if (result.generator.isBehind) found.push(words.behind(msText(result.generator.lagP99Ms)));
  if (result.generator.skipped > 0) found.push(words.skipped(countText(result.generator.skipped)));
  return found;
}

export function contractText(result: Result, words: Words): string {
  const { frames, audited, compared } = result.contract;
  return words.contractText(countText(frames), countText(audited), countText(compared));
}

export function summary(result: Result, words: Words): string {
  const { whole, contract, thresholds } = result;
  const rows = [[words.latencies, words.count, 'p50', 'p99', 'p99.9', 'max'], ...latencyRows(result, words)];
  const lines = [
    `${words.acked} ${countText(whole.ackedPerSecond)}   ${words.said} ${countText(whole.saidPerSecond)}   ${words.delivered} ${countText(whole.deliveredPerSecond)}   ${words.refused} ${countText(whole.counts.refused)}   ${words.errors} ${countText(whole.counts.errors)}   ${words.memory} ${bytesText(result.memory.maxBytes)}`,
    '',
    ...table(rows),
    '',
    ...result.verdicts.map((verdict) => verdictText(verdict, words)),
    `${words.contract}: ${contract.ok ? words.contractKept : words.contractBroken}. ${contractText(result, words)}`,
    ...Object.entries(contract.breaches).map(
      ([kind, count]) => `  ${countText(count)} × ${words.breachKinds[kind as 'gap']}`,
    ),
    ...contract.examples
      .slice(0, 5)
      .map(({ kind, session, seq, what }) => `  ${kind} ${session} seq ${seq}: ${what}`),
    ...Object.entries(result.errors).map(([kind, count]) => `${words.errors}: ${countText(count)} × ${kind}`),
    ...thresholds.map(({ text, value, ok }) => {
      const measured = value === null ? '–' : String(Math.round(value * 100) / 100);
      return `${words.thresholds}: ${text} ${ok ? words.held : words.missed} (${measured})`;
    }),
    ...warnings(result, words),
  ];
  return `${lines.join('\n')}\n`;
}

/** Columns of equal width; Chinese characters take two places of a terminal. */
function table(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => widthOf(row[column]!))));
  return rows.map((row) =>
    row
      .map((cell, column) => {
        const space = ' '.repeat(widths[column]! - widthOf(cell));
        return column === 0 ? cell + space : space + cell;
      })
      .join('  '),
  );
}

export function widthOf(text: string): number {
  let width = 0;
  for (const char of text)
    width += /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60]/.test(char)
      ? 2
      : 1;
  return width;
}
