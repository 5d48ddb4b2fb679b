import type { Options } from './options.ts';
import type { Live } from './run.ts';
import { widthOf } from './summary.ts';
import { bytesText, countText, msText, type Words } from './words.ts';

/** What is to be seen while it runs: a picture that is drawn anew each second, or a line now and then. */
export interface View {
  show(live: Live): void;
  end(): void;
}

export interface Screen {
  readonly print: (text: string) => void;
  readonly isTerminal: boolean;
  readonly columns: number;
}

const lineEveryMs = 5000;
const sparks = '▁▂▃▄▅▆▇█';

export function viewOf(screen: Screen, options: Options, words: Words): View {
  if (options.isQuiet) return { show: () => undefined, end: () => undefined };
  return screen.isTerminal ? pictureView(screen, options, words) : lineView(screen, words);
}

function lineView(screen: Screen, words: Words): View {
  let nextMs = 0;
  let stage = '';
  return {
    show(live) {
      if (live.stage === stage && live.atMs < nextMs) return;
      stage = live.stage;
      nextMs = live.atMs + lineEveryMs;
      screen.print(`${lineOf(live, words)}\n`);
    },
    end: () => undefined,
  };
}

function lineOf(live: Live, words: Words): string {
  const { point } = live;
  const at = `${Math.max(0, live.atMs / 1000).toFixed(0)} s  ${words.stages[live.stage]}`;
  if (point === undefined) return at;
  return [
    at,
    `${words.acked} ${countText(point.acked)}`,
    `p50 ${msText(point.ackP50)} p99 ${msText(point.ackP99)} p99.9 ${msText(point.ackP999)}`,
    `${words.connections} ${countText(point.connections)}`,
    `${words.refused} ${countText(point.refused + point.stormRefused)}`,
    `${words.errors} ${countText(live.errors)}`,
    `${words.breaches} ${live.breaches}`,
    `${words.memory} ${bytesText(live.memoryBytes)}`,
  ].join('  ');
}

function pictureView(screen: Screen, options: Options, words: Words): View {
  let drawn = 0;
  return {
    show(live) {
      const lines = picture(live, options, words, Math.max(40, screen.columns - 1));
      const up = drawn > 0 ? `\u001b[${drawn}A` : '';
      screen.print(up + lines.map((line) => `\u001b[2K${line}\n`).join(''));
      drawn = lines.length;
    },
    end() {
      if (drawn > 0) screen.print('\n');
    },
  };
}

const dim = (text: string): string => `\u001b[2m${text}\u001b[0m`;
const bold = (text: string): string => `\u001b[1m${text}\u001b[0m`;
const red = (text: string): string => `\u001b[31m${text}\u001b[0m`;
const green = (text: string): string => `\u001b[32m${text}\u001b[0m`;

function picture(live: Live, options: Options, words: Words, columns: number): string[] {
  const { point, series } = live;
  const share = Math.max(0, Math.min(1, live.atMs / live.endMs));
  const barWidth = Math.min(40, columns - 30);
  const full = Math.round(share * barWidth);
  const labelWidth = Math.max(
    ...[words.acked, words.ack, words.connections, words.refused, words.memory, words.breaches].map(widthOf),
  );
  const row = (label: string, value: string, trend: readonly (number | null)[]): string =>
    `${dim(label + ' '.repeat(labelWidth - widthOf(label)))}  ${value}  ${dim(spark(trend, columns - labelWidth - 50))}`;
  const pad = (text: string, width: number): string => text + ' '.repeat(Math.max(0, width - widthOf(text)));
  const times = `p50 ${msText(point?.ackP50)}  p99 ${msText(point?.ackP99)}  p99.9 ${msText(point?.ackP999)}`;
  const wide = 44;
  return [
    `${bold(words.title)}  ${words.profiles[options.profile]}`,
    `${green('█'.repeat(full))}${dim('░'.repeat(barWidth - full))}  ${Math.max(0, live.atMs / 1000).toFixed(0)} / ${(live.endMs / 1000).toFixed(0)} s  ${words.stages[live.stage]}`,
    '',
    row(
      words.acked,
      pad(`${countText(point?.acked ?? 0)}  (${words.said} ${countText(point?.said ?? 0)})`, wide),
      series.map(({ acked }) => acked),
    ),
    row(
      words.ack,
      pad(times, wide),
      series.map(({ ackP99 }) => ackP99),
    ),
    row(
      words.connections,
      pad(
        `${countText(point?.connections ?? 0)}  (${words.customers} ${countText(point?.customers ?? 0)})`,
        wide,
      ),
      series.map(({ connections }) => connections),
    ),
    row(
      words.refused,
      pad(
        `${countText((point?.refused ?? 0) + (point?.stormRefused ?? 0))}/s  ${words.errors} ${live.errors > 0 ? red(countText(live.errors)) : '0'}`,
        wide + (live.errors > 0 ? 9 : 0),
      ),
      series.map(({ refused, stormRefused }) => refused + stormRefused),
    ),
    row(
      words.memory,
      pad(bytesText(live.memoryBytes), wide),
      series.map(({ memoryBytes }) => memoryBytes),
    ),
    `${dim(pad(words.breaches, labelWidth))}  ${live.breaches > 0 ? red(countText(live.breaches)) : green('0')}`,
  ];
}

/** The last values as little bars, from nothing to their maximum. */
function spark(values: readonly (number | null)[], width: number): string {
  const last = values.slice(-Math.max(0, Math.min(width, 40)));
  const max = Math.max(1e-9, ...last.map((value) => value ?? 0));
  return last
    .map((value) => (value === null ? ' ' : sparks[Math.min(7, Math.floor((value / max) * 7.99))]))
    .join('');
}
