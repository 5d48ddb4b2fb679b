import { escape, lineChart, type Line } from './chart.ts';
import type { Bucket, Point, Result } from './result.ts';
import { contractText, latencyRows, verdictText, warnings } from './summary.ts';
import { bytesText, countText, msText, type Language, type Words } from './words.ts';

/** The result as one page that needs nothing else: no script, no font, no picture from elsewhere. */
export function reportPage(result: Result, words: Words, language: Language): string {
  const title = `${words.title}: ${words.profiles[result.options['profile'] as 'steady']}`;
  return `<!doctype html>
<html lang="${language}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escape(title)}</title><style>${style}</style></head><body><main>
<h1>${escape(title)}</h1>
<p class="sub">${escape(subtitle(result))}</p>
${tiles(result, words)}
${notes(result, words)}
<div class="charts">${charts(result, words).join('\n')}</div>
<h2>${escape(words.latencies)}</h2><p>${escape(words.latencyNote)}</p>
${table([words.what, words.count, 'p50', 'p99', 'p99.9', 'max'], latencyRows(result, words))}
<div class="columns"><section><h2>${escape(words.contract)}</h2>${contractPart(result, words)}</section>
<section><h2>${escape(words.thresholds)}</h2>${thresholdPart(result, words)}</section></div>
<div class="columns"><section><h2>${escape(words.counts)}</h2>${table(
    [words.what, words.count],
    Object.entries(words.countKinds).map(([kind, name]) => [
      name,
      countText(result.whole.counts[kind as 'said']),
    ]),
  )}</section>
<section><h2>${escape(words.errorKinds)}</h2>${table(
    [words.what, words.count],
    Object.entries(result.errors).map(([kind, count]) => [kind, countText(count)]),
  )}
<h2>${escape(words.run)}</h2>${runPart(result, words)}</section></div>
</main></body></html>
`;
}

const style = `
:root{color-scheme:light dark;--ink:#1c232c;--soft:#5b6673;--paper:#f4f6f8;--card:#fff;--rule:#e3e7ec;--good:#1d7f53;--bad:#b3263f}
@media(prefers-color-scheme:dark){:root{--ink:#e4e9ef;--soft:#98a4b1;--paper:#0e1116;--card:#161a20;--rule:#2b323c;--good:#5fcf9b;--bad:#f27a97}}
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1580px;margin:0 auto;padding:28px 24px 48px}h1{font-size:24px;margin:0}h2{font-size:17px;margin:28px 0 8px}.sub{color:var(--soft);margin:4px 0 20px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(112px,1fr));gap:12px}.tile{background:var(--card);border-radius:8px;padding:12px 14px}
.tile b{display:block;font-size:20px;white-space:nowrap;font-weight:600;font-variant-numeric:tabular-nums}.tile span{color:var(--soft);font-size:13px}.good b{color:var(--good)}.bad b{color:var(--bad)}
.note{background:var(--card);border-left:4px solid var(--soft);border-radius:4px;padding:8px 14px;margin:12px 0 0}.note.good{border-color:var(--good)}.note.bad{border-color:var(--bad)}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,520px),1fr));gap:14px;margin-top:18px}.charts svg{width:100%;height:auto;display:block}
.columns{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,480px),1fr));gap:0 28px}
table{border-collapse:collapse;width:100%;background:var(--card);border-radius:8px;overflow:hidden}th,td{padding:6px 12px;text-align:right;border-top:1px solid var(--rule);font-variant-numeric:tabular-nums}
th{color:var(--soft);font-weight:500;border:0}th:first-child,td:first-child{text-align:left;white-space:pre-wrap;overflow-wrap:anywhere}code{font-size:13px;overflow-wrap:anywhere}.good{color:inherit}.missed{color:var(--bad)}`;

function subtitle(result: Result): string {
  const { options, servers, startedAt } = result;
  const size = ['customers', 'agents', 'rate', 'durationMs', 'seed'].map(
    (name) => `${name} ${String(options[name])}`,
  );
  return [startedAt, servers.map(({ url }) => url).join(', '), ...size].join(' · ');
}

function tiles(result: Result, words: Words): string {
  const { whole, contract, memory, thresholds, verdicts } = result;
  const isMissed = [...thresholds, ...verdicts].some(({ ok }) => ok === false);
  const ack = whole.latencies.ack;
  const tile = (name: string, value: string, kind = ''): string =>
    `<div class="tile ${kind}"><b>${escape(value)}</b><span>${escape(name)}</span></div>`;
  return `<div class="tiles">${[
    tile(
      words.contract,
      contract.ok ? words.contractKept : words.contractBroken,
      contract.ok ? 'good' : 'bad',
    ),
    tile(words.thresholds, isMissed ? words.failed : words.passed, isMissed ? 'bad' : 'good'),
    tile(words.acked, countText(whole.ackedPerSecond)),
    tile(`${words.ack}, p50`, msText(ack?.p50)),
    tile(`${words.ack}, p99`, msText(ack?.p99)),
    tile(`${words.ack}, p99.9`, msText(ack?.p999)),
    tile(words.refused, countText(whole.counts.refused)),
    tile(words.errors, countText(whole.counts.errors), whole.counts.errors > 0 ? 'bad' : ''),
    tile(words.memory, bytesText(memory.maxBytes)),
  ].join('')}</div>`;
}

function notes(result: Result, words: Words): string {
  const verdicts = result.verdicts.map((verdict) => ({
    text: verdictText(verdict, words),
    kind: verdict.ok === null ? '' : verdict.ok ? 'good' : 'bad',
  }));
  const all = [...verdicts, ...warnings(result, words).map((text) => ({ text, kind: 'bad' }))];
  return all.map(({ text, kind }) => `<p class="note ${kind}">${escape(text)}</p>`).join('\n');
}

function charts(result: Result, words: Words): string[] {
  const { series } = result;
  const marks = result.marks.map(({ name, atS }) => ({ x: atS, name: words.phases[name as 'before'] }));
  const seconds = { label: words.axisSeconds };
  const line = (name: string, of: (point: Point) => number | null, isArea = false): Line => ({
    name,
    points: series.map((point) => [point.atS, of(point)]),
    isArea,
  });
  const isStorm = series.some(({ stormed, stormRefused }) => stormed + stormRefused > 0);
  const overTime = (
    title: string,
    lines: readonly Line[],
    y: Parameters<typeof lineChart>[0]['y'] = {},
  ): string => lineChart({ title, x: seconds, y, lines, marks });
  return [
    overTime(words.charts.throughput, [
      line(words.series.said, ({ said }) => said),
      line(words.series.acked, ({ acked }) => acked),
      line(words.series.delivered, ({ delivered }) => delivered),
    ]),
    overTime(
      words.charts.latency,
      [
        line('p50', ({ ackP50 }) => ackP50),
        line('p99', ({ ackP99 }) => ackP99),
        line('p99.9', ({ ackP999 }) => ackP999),
      ],
      { isLog: true, format: axisMs },
    ),
    lineChart({
      title: words.charts.distribution,
      x: { isLog: true, min: shownMinMs, format: axisMs },
      y: { label: words.axisShare },
      lines: [
        { name: words.series.ack, points: sharesOf(result.distributions.ack), isArea: true },
        { name: words.series.delivery, points: sharesOf(result.distributions.delivery) },
      ],
    }),
    overTime(words.charts.connections, [
      line(words.connections, ({ connections }) => connections),
      line(words.customers, ({ customers }) => customers),
    ]),
    overTime(words.charts.trouble, [
      line(words.series.refused, ({ refused }) => refused),
      line(words.series.errors, ({ errors }) => errors),
      ...(isStorm
        ? [
            line(words.series.stormed, ({ stormed }) => stormed),
            line(words.series.stormRefused, ({ stormRefused }) => stormRefused),
          ]
        : []),
    ]),
    lineChart({
      title: words.charts.memory,
      x: seconds,
      y: { label: 'MiB' },
      marks,
      lines: [{ name: words.memory, points: memoryOf(series), isArea: true }],
    }),
  ];
}

/** A second in which the server was too busy to tell is no gap. */
function memoryOf(series: readonly Point[]): [number, number][] {
  return series.flatMap(({ atS, memoryBytes }): [number, number][] =>
    memoryBytes === null ? [] : [[atS, memoryBytes / 2 ** 20]],
  );
}

function axisMs(ms: number): string {
  return ms >= 1000 ? `${ms / 1000} s` : `${ms} ms`;
}

const binsPerDecade = 16;
/** Nothing that goes through a socket and a database takes less. */
const shownMinMs = 0.1;

/** Per cent of all in each sixteenth of a decade. */
function sharesOf(buckets: readonly Bucket[]): [number, number][] {
  const bins = new Map<number, number>();
  let all = 0;
  for (const { ms, count } of buckets) {
    const bin = Math.floor(Math.log10(Math.max(ms, shownMinMs)) * binsPerDecade);
    bins.set(bin, (bins.get(bin) ?? 0) + count);
    all += count;
  }
  const places = [...bins.keys()].sort((a, b) => a - b);
  const [first, last] = [places[0], places.at(-1)];
  if (first === undefined || last === undefined) return [];
  return Array.from({ length: last - first + 3 }, (_, index) => {
    const bin = first - 1 + index;
    return [10 ** ((bin + 0.5) / binsPerDecade), ((bins.get(bin) ?? 0) / all) * 100];
  });
}

function contractPart(result: Result, words: Words): string {
  const { contract } = result;
  const kinds = Object.entries(contract.breaches).map(([kind, count]) => [
    words.breachKinds[kind as 'gap'],
    countText(count),
  ]);
  const verdict = contract.ok ? words.contractKept : words.contractBroken;
  const examples =
    contract.examples.length === 0
      ? ''
      : `<h2>${escape(words.examples)}</h2><ul>${contract.examples
          .map(
            ({ kind, session, seq, what }) =>
              `<li><code>${escape(`${kind} ${session} seq ${seq}: ${what}`)}</code></li>`,
          )
          .join('')}</ul>`;
  return `<p><b class="${contract.ok ? '' : 'missed'}">${escape(verdict)}.</b> ${escape(contractText(result, words))}</p>${
    kinds.length === 0 ? '' : table([words.breaches, words.count], kinds)
  }${examples}`;
}

function thresholdPart({ thresholds }: Result, words: Words): string {
  if (thresholds.length === 0) return `<p>${escape(words.noThresholds)}</p>`;
  return table(
    ['', '', ''],
    thresholds.map(({ text, value, ok }) => [
      text,
      value === null ? '–' : String(Math.round(value * 100) / 100),
      ok ? words.held : words.missed,
    ]),
  );
}

function runPart(result: Result, words: Words): string {
  const { options, machine, tool, generator } = result;
  const rows = [
    ...Object.entries(options).map(([name, value]) => [name, value === null ? '–' : String(value)]),
    ['run', result.run],
    ['kefu', tool.version],
    ['Node.js', tool.node],
    [
      words.machine,
      `${machine['cpu']}, ${machine['cores']} cores, ${bytesText(Number(machine['memoryBytes']))}, ${machine['system']}`,
    ],
  ];
  const text = words.generatorText(
    countText(generator.processes),
    generator.coresMax.toFixed(2),
    msText(generator.lagP99Ms),
  );
  return `${table(['', ''], rows)}<p>${escape(text)}</p>`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return '<p>–</p>';
  const cells = (tag: 'th' | 'td', row: readonly string[]): string =>
    `<tr>${row.map((cell) => `<${tag}>${escape(cell)}</${tag}>`).join('')}</tr>`;
  const isHeaded = head.some((cell) => cell !== '');
  return `<table>${isHeaded ? cells('th', head) : ''}${rows.map((row) => cells('td', row)).join('')}</table>`;
}
