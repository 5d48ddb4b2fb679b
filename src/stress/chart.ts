/**
 * Charts as SVG text: pure, without scripts, light and dark by themselves, so that they serve in a page and as pictures
 * of a document. All text is escaped here and nowhere else.
 */
export interface Axis {
  readonly label?: string;
  readonly isLog?: boolean;
  readonly min?: number;
  readonly max?: number;
  /** How a tick is written; as a plain number without it. */
  readonly format?: (value: number) => string;
}

export interface Line {
  readonly name: string;
  /** Null: nothing was measured there. */
  readonly points: readonly (readonly [x: number, y: number | null])[];
  /** Filled down to the axis. */
  readonly isArea?: boolean;
}

export interface LineChart {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly lines: readonly Line[];
  /** Upright lines with a name. */
  readonly marks?: readonly { readonly x: number; readonly name: string }[];
  readonly width?: number;
  readonly height?: number;
}

export interface Bar {
  readonly name: string;
  /** Null: not measured. */
  readonly value: number | null;
  /** The least and the greatest of several runs. */
  readonly low?: number;
  readonly high?: number;
  /** Of the palette, from 0. */
  readonly color?: number;
}

export interface BarChart {
  readonly title: string;
  readonly bars: readonly Bar[];
  readonly x: Axis;
  readonly width?: number;
}

/** Nothing that is drawn is smaller, but nothing. */
const least = 1e-9;

interface Scale {
  readonly of: (value: number) => number;
  readonly ticks: readonly number[];
}

const palette = ['#2f6fde', '#d9822b', '#c23b5c', '#2e9e6b', '#8458c9', '#5f6b7a'];
const darkPalette = ['#6ea2ff', '#f0a95b', '#f27a97', '#5fcf9b', '#b497f0', '#a3afbf'];
const margin = { top: 52, right: 16, bottom: 40, left: 64 };

export function escape(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}

export function lineChart(chart: LineChart): string {
  const { width = 760, height = 280, lines, marks = [] } = chart;
  const inner = {
    left: margin.left,
    right: width - margin.right,
    top: margin.top,
    bottom: height - margin.bottom,
  };
  const points = lines.flatMap((line) => line.points);
  const xs = points.map(([x]) => x);
  const ys = points.flatMap(([, y]) => (y === null ? [] : [y]));
  const x = scaleOf(chart.x, xs, inner.left, inner.right, false);
  const y = scaleOf(chart.y, ys, inner.bottom, inner.top, true);
  const body = [
    ...y.ticks.map((tick) => horizontal(inner, y.of(tick), formatted(chart.y, tick))),
    ...x.ticks.map((tick) => label(x.of(tick), inner.bottom + 16, 'middle', formatted(chart.x, tick))),
    ...marks.map(
      ({ x: at, name }) =>
        `<line class="mark" x1="${n(x.of(at))}" x2="${n(x.of(at))}" y1="${inner.top}" y2="${inner.bottom}"/>` +
        label(x.of(at) + 4, inner.top + 10, 'start', name),
    ),
    ...lines.flatMap((line, index) => pathsOf(line, index, x, y, inner.bottom)),
    ...(points.length === 0 ? [label(width / 2, height / 2, 'middle', '–')] : []),
    axisLabels(chart, width, height),
    legend(lines),
  ];
  return svg(chart.title, width, height, body);
}

export function barChart(chart: BarChart): string {
  const { width = 760, bars } = chart;
  const rowHeight = 26;
  const left = Math.min(260, 24 + Math.max(0, ...bars.map(({ name }) => textWidth(name))));
  const top = 34;
  const height = top + bars.length * rowHeight + margin.bottom;
  const values = bars.flatMap(({ value, low, high }) =>
    [value, low, high].filter((it) => typeof it === 'number'),
  );
  const x = scaleOf(chart.x, values, left, width - 84, true);
  const bottom = top + bars.length * rowHeight;
  const body = [
    ...x.ticks.map(
      (tick) =>
        `<line class="grid" x1="${n(x.of(tick))}" x2="${n(x.of(tick))}" y1="${top}" y2="${bottom}"/>` +
        label(x.of(tick), bottom + 16, 'middle', formatted(chart.x, tick)),
    ),
    ...bars.flatMap((bar, index) => barOf(bar, chart.x, x, left, top + index * rowHeight, rowHeight)),
    chart.x.label === undefined ? '' : label((left + width) / 2, height - 6, 'middle', chart.x.label),
  ];
  return svg(chart.title, width, height, body);
}

function barOf(bar: Bar, axis: Axis, x: Scale, left: number, top: number, rowHeight: number): string[] {
  const middle = top + rowHeight / 2;
  const name = label(left - 8, middle + 4, 'end', bar.name);
  if (bar.value === null) return [name, label(left + 6, middle + 4, 'start', '–')];
  const to = x.of(bar.value);
  const { low = bar.value, high = bar.value, color = 0 } = bar;
  const [from, until] = [x.of(low), x.of(high)];
  const whisker =
    low === high
      ? ''
      : `<path class="whisker" d="M${n(from)} ${middle}H${n(until)}M${n(from)} ${middle - 5}v10M${n(until)} ${middle - 5}v10"/>`;
  return [
    name,
    `<rect class="c${color % palette.length} fill" x="${left}" y="${top + 5}" width="${n(Math.max(1, to - left))}" height="${rowHeight - 10}" rx="2"/>`,
    whisker,
    label(Math.max(to, until) + 6, middle + 4, 'start', formatted(axis, bar.value)),
  ];
}

/** One path for each stretch without a gap; a lonely point is a dot. */
function pathsOf(line: Line, index: number, x: Scale, y: Scale, bottom: number): string[] {
  const color = `c${index % palette.length}`;
  const stretches: (readonly [number, number])[][] = [[]];
  for (const [atX, atY] of line.points) {
    if (atY === null) stretches.push([]);
    else stretches.at(-1)!.push([x.of(atX), y.of(atY)]);
  }
  return stretches.flatMap((points) => {
    const [first] = points;
    const last = points.at(-1);
    if (first === undefined || last === undefined) return [];
    if (points.length === 1)
      return [`<circle class="${color} fill" cx="${n(first[0])}" cy="${n(first[1])}" r="2"/>`];
    const path = `M${points.map(([atX, atY]) => `${n(atX)} ${n(atY)}`).join('L')}`;
    const area = `${path}L${n(last[0])} ${bottom}L${n(first[0])} ${bottom}Z`;
    return [
      ...(line.isArea === true ? [`<path class="${color} area" d="${area}"/>`] : []),
      `<path class="${color} line" d="${path}"/>`,
    ];
  });
}

function legend(lines: readonly Line[]): string {
  if (lines.length < 2) return '';
  let at = margin.left;
  const parts = lines.map(({ name }, index) => {
    const part = `<rect class="c${index % palette.length} fill" x="${at}" y="32" width="10" height="10" rx="2"/>${label(at + 15, 41, 'start', name)}`;
    at += 34 + textWidth(name);
    return part;
  });
  return parts.join('');
}

function axisLabels({ x, y }: LineChart, width: number, height: number): string {
  const below = x.label === undefined ? '' : label((margin.left + width) / 2, height - 6, 'middle', x.label);
  const beside =
    y.label === undefined
      ? ''
      : `<text transform="translate(14 ${height / 2}) rotate(-90)" text-anchor="middle">${escape(y.label)}</text>`;
  return below + beside;
}

function horizontal(inner: { left: number; right: number }, y: number, text: string): string {
  return `<line class="grid" x1="${inner.left}" x2="${inner.right}" y1="${n(y)}" y2="${n(y)}"/>${label(inner.left - 8, y + 4, 'end', text)}`;
}

function label(x: number, y: number, anchor: 'start' | 'middle' | 'end', text: string): string {
  return `<text x="${n(x)}" y="${n(y)}" text-anchor="${anchor}">${escape(text)}</text>`;
}

function svg(title: string, width: number, height: number, body: readonly string[]): string {
  const colors = (list: readonly string[]): string =>
    list.map((color, index) => `.kchart .c${index}{--c:${color}}`).join('');
  const style =
    `.kchart{--ink:#3d4653;--grid:#e3e7ec;--paper:#fff;font:12px system-ui,sans-serif}${colors(palette)}` +
    `@media(prefers-color-scheme:dark){.kchart{--ink:#b8c1cc;--grid:#313944;--paper:#161a20}${colors(darkPalette)}}` +
    '.kchart text{fill:var(--ink)}.kchart .title{font-weight:600;font-size:14px}.kchart .paper{fill:var(--paper)}' +
    '.kchart .grid{stroke:var(--grid)}.kchart .line{fill:none;stroke:var(--c);stroke-width:1.6;stroke-linejoin:round}' +
    '.kchart .fill{fill:var(--c)}.kchart .area{fill:var(--c);opacity:.14}.kchart .mark{stroke:var(--ink);stroke-dasharray:3 3;opacity:.6}' +
    '.kchart .whisker{fill:none;stroke:var(--ink);stroke-width:1.4}';
  return (
    `<svg class="kchart" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escape(title)}">` +
    `<style>${style}</style><rect class="paper" width="${width}" height="${height}" rx="8"/>` +
    `<text class="title" x="16" y="22">${escape(title)}</text>${body.join('')}</svg>`
  );
}

function scaleOf(axis: Axis, values: readonly number[], from: number, to: number, fromZero: boolean): Scale {
  // Not by spreading: a long run has more values than a call has places.
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    if (axis.isLog === true && value <= 0) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (low > high) [low, high] = axis.isLog === true ? [1, 10] : [0, 1];
  if (axis.isLog === true) return logScale(axis.min ?? low, axis.max ?? high, from, to);
  return linearScale(axis.min ?? (fromZero ? Math.min(0, low) : low), axis.max ?? high, from, to, fromZero);
}

function linearScale(low: number, high: number, from: number, to: number, isRounded: boolean): Scale {
  const span = high - low > least ? high - low : Math.max(1, Math.abs(high));
  const rough = span / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10);
  const top = isRounded ? Math.ceil((low + span) / step - 1e-9) * step : low + span;
  const ticks: number[] = [];
  for (let tick = Math.ceil(low / step - 1e-9) * step; tick <= top + step * 1e-6; tick += step)
    ticks.push(Number(tick.toPrecision(12)));
  return { of: (value) => from + ((value - low) / (top - low)) * (to - from), ticks };
}

/** Whole decades, or parts of them where there are few. */
function logScale(low: number, high: number, from: number, to: number): Scale {
  const floor = Math.floor(Math.log10(Math.max(low, least)) + 1e-9);
  const ceiling = Math.max(floor + 1, Math.ceil(Math.log10(high) - 1e-9));
  const factors = ceiling - floor > 2 ? [1] : [1, 2, 5];
  const ticks: number[] = [];
  for (let power = floor; power <= ceiling; power += 1)
    for (const factor of factors)
      if (power < ceiling || factor === 1) ticks.push(Number((factor * 10 ** power).toPrecision(6)));
  const place = (value: number): number => Math.log10(Math.max(value, 10 ** floor)) - floor;
  return { of: (value) => from + (place(value) / (ceiling - floor)) * (to - from), ticks };
}

function formatted(axis: Axis, value: number): string {
  return axis.format === undefined ? value.toLocaleString('en-US') : axis.format(value);
}

/** About: Chinese characters are twice as wide as Latin ones. */
function textWidth(text: string): number {
  let width = 0;
  for (const char of text) width += char > '\u2e80' ? 12 : 6.6;
  return width;
}

function n(value: number): string {
  return String(Math.round(value * 10) / 10);
}
