import { rootKeys, sections, type Key } from './keys.ts';

/** `--help`: the flags; everything else is in docs/configuration.md. */
export function helpText(): string {
  const flags = Object.values(rootKeys as Record<string, Key>).map((key) => {
    const usual = key.default === '' || key.default === false ? '' : ` (${String(key.default)})`;
    return `  ${(key.flag ?? '').padEnd(20)} ${key.about}${usual}`;
  });
  return [
    'kefu: customer service that acknowledges only what is committed',
    '',
    'npm start -- [flags]',
    `  ${'--config FILE.toml'.padEnd(20)} Any key of docs/configuration.md.`,
    ...flags,
    `  ${'--help'.padEnd(20)} This.`,
    `  ${'--version'.padEnd(20)} The version.`,
    '',
    'Every flag is also KEFU_ and its name, as in KEFU_DATA_DIR; every key KEFU_SECTION_KEY.',
    '',
  ].join('\n');
}

function shown(key: Key): string {
  const value = key.default;
  if (key.kind === 'ms') return duration(value as number);
  if (key.kind === 'bytes') return size(value as number);
  if (Array.isArray(value)) return value.join(', ');
  return value === '' ? '–' : String(value);
}

function duration(ms: number): string {
  for (const [unit, length] of [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1000],
  ] as const)
    if (ms > 0 && ms % length === 0) return `${ms / length}${unit}`;
  return `${ms}ms`;
}

function size(bytes: number): string {
  for (const [unit, length] of [
    ['MiB', 2 ** 20],
    ['KiB', 2 ** 10],
  ] as const)
    if (bytes > 0 && bytes % length === 0) return `${bytes / length}${unit}`;
  return String(bytes);
}

const kinds: Readonly<Record<Key['kind'], string>> = {
  text: 'text',
  count: 'number',
  ms: 'duration',
  bytes: 'size',
  flag: 'true or false',
  list: 'list',
  choice: 'choice',
};

/** What the value may be: its kind, and its bounds where it has any that matter. */
function kindOf(key: Key): string {
  if (key.choices !== undefined) return key.choices.join(', ');
  const show = key.kind === 'ms' ? duration : key.kind === 'bytes' ? size : String;
  const { min = 0, max = Infinity } = key;
  // A billion is only there to keep numbers sane.
  const top = max >= 1e9 && key.kind === 'count' ? Infinity : max;
  if (min > 0 && top < Infinity) return `${kinds[key.kind]}, ${show(min)} to ${show(top)}`;
  if (top < Infinity) return `${kinds[key.kind]}, at most ${show(top)}`;
  return min > 0 ? `${kinds[key.kind]}, at least ${show(min)}` : kinds[key.kind];
}

/** The part of the page between these is made from the keys. */
const marks = { start: '<!-- keys: start -->', end: '<!-- keys: end -->' } as const;

/** A page of docs with its tables made anew; what people wrote around them stays. */
export function withKeyTables(page: string): string {
  const start = page.indexOf(marks.start);
  const end = page.indexOf(marks.end);
  if (start < 0 || end < start) throw new Error(`the page lacks the marks ${marks.start} and ${marks.end}`);
  return `${page.slice(0, start)}${marks.start}\n\n${keyTables()}\n${page.slice(end)}`;
}

/** The tables of docs/configuration.md. */
function keyTables(): string {
  const lines: string[] = [
    '## Flags',
    '',
    '| flag | environment | kind | default | meaning |',
    '| --- | --- | --- | --- | --- |',
  ];
  lines.push('| `--config FILE.toml` | `KEFU_CONFIG` | text | – | A TOML file with any key of this page. |');
  for (const [name, key] of Object.entries(rootKeys as Record<string, Key>))
    lines.push(
      `| \`${key.flag}\` | \`KEFU_${name.toUpperCase()}\` | ${kindOf(key)} | ${shown(key)} | ${key.about} |`,
    );
  for (const [section, keys] of Object.entries(sections as Record<string, Record<string, Key>>)) {
    lines.push(
      '',
      `## ${section}`,
      '',
      '| key | environment | kind | default | meaning |',
      '| --- | --- | --- | --- | --- |',
    );
    for (const [name, key] of Object.entries(keys)) {
      const variable = `KEFU_${section.toUpperCase()}_${name.toUpperCase()}`;
      lines.push(
        `| \`${section}.${name}\` | \`${variable}\` | ${kindOf(key)} | ${shown(key)} | ${key.about} |`,
      );
    }
  }
  return `${lines.join('\n')}\n`;
}
