/** House rules about what a file may say and import; docs: style in CONTRIBUTING.md. Pure, so that they are tested. */

/** What each folder of src may import of ours. `types`: only as types. */
export const importTable: Readonly<Record<string, { code: readonly string[]; types?: readonly string[] }>> = {
  core: { code: ['core'] },
  rules: { code: ['core', 'rules'] },
  protocol: { code: ['core', 'protocol'], types: ['rules'] },
  actors: { code: ['core', 'rules', 'protocol', 'actors'] },
  cluster: { code: ['core', 'protocol', 'cluster'], types: ['actors'] },
  store: { code: ['core', 'protocol', 'actors', 'store'], types: ['rules'] },
  net: { code: ['core', 'protocol', 'rules', 'actors', 'net'] },
  integrations: { code: ['core', 'protocol', 'integrations'], types: ['rules', 'actors'] },
  config: { code: ['core', 'config'], types: ['.'] },
  stress: { code: ['core', 'protocol', 'stress'] },
};

/** Folders that the simulator must be able to run: no time, timers, chance or wires of their own. */
const pure = new Set(['actors', 'cluster', 'rules']);
/** Adapters of the cluster's ports, which the simulator has its own of: they may use a wire. */
const adapters = /^src\/cluster\/(?:nats-connection|[a-z-]+-nats)\.ts$/;
const wires = /(?:from|import|import\() ?'(?:node:|postgres|@?nats|uWebSockets|pino)/;
const banned = [
  /\bDate\.now\b/,
  /\bnew Date\(\)/,
  /\bsetTimeout\b/,
  /\bsetInterval\b/,
  /\bsetImmediate\b/,
  /\bMath\.random\b/,
  /\bperformance\.now\b/,
  /\bprocess\.hrtime\b/,
  /\bAbortSignal\.timeout\b/,
  /\b(?:randomUUID|getRandomValues)\b/,
];

/** A condition, as in `skip: !isRoot && 'why'`, is no leaving out. */
const leftOut = [/\b(?:t|test)\w*\.(?:only|skip|todo)\(/, /\b(?:only|skip|todo): true\b/];

export const linesMax = 500;

export interface SourceFile {
  /** From the root, with slashes: src/rules/session.ts */
  readonly path: string;
  readonly text: string;
}

export interface Import {
  /** As the file's own path is written. */
  readonly path: string;
  readonly isType: boolean;
}

export function importsOf(file: SourceFile): Import[] {
  const found: Import[] = [];
  const pattern = /^(?:import|export)\s+(type\s+)?([^'";]*?)\s*from\s+'(\.[^']*)'/gms;
  for (const match of file.text.matchAll(pattern)) {
    const names = match[2] ?? '';
    const onlyTypes =
      /^\{[^}]*\}$/.test(names) &&
      names
        .slice(1, -1)
        .split(',')
        .every((it) => /^\s*(type\s|$)/.test(it));
    found.push({ path: resolve(file.path, match[3]!), isType: match[1] !== undefined || onlyTypes });
  }
  // Those without a `from`: for the effect alone, or at run time.
  for (const match of file.text.matchAll(/(?:^import\s*|\bimport\(\s*)'(\.[^']*)'/gm))
    found.push({ path: resolve(file.path, match[1]!), isType: false });
  return found;
}

function resolve(from: string, to: string): string {
  const parts = from.split('/').slice(0, -1);
  for (const part of to.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '.') parts.push(part);
  }
  return parts.join('/');
}

function folderOf(path: string): string {
  const [top, folder, rest] = path.split('/');
  if (top !== 'src') return top ?? '';
  return rest === undefined ? '.' : folder!;
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '$1');
}

/** One line for each rule that the file breaks. */
export function problemsOf(file: SourceFile): string[] {
  const problems: string[] = [];
  const lines = file.text.replace(/\n$/, '').split('\n').length;
  if (lines > linesMax) problems.push(`${file.path}: ${lines} lines, ${linesMax} at most`);
  const folder = folderOf(file.path);
  const rule = file.path.startsWith('src/') ? importTable[folder] : undefined;
  if (file.path.startsWith('src/') && folder !== '.' && rule === undefined)
    problems.push(`${file.path}: the import table does not know the folder ${folder}`);
  for (const { path, isType } of importsOf(file)) {
    if (rule !== undefined) {
      const to = folderOf(path);
      const allowed = rule.code.includes(to) || (isType && rule.types?.includes(to) === true);
      if (!allowed)
        problems.push(`${file.path}: ${folder} may not import ${isType ? 'the types of ' : ''}${path}`);
    }
    if (
      file.path.startsWith('web/') &&
      path.startsWith('src/') &&
      !(isType && path.startsWith('src/protocol/'))
    )
      problems.push(`${file.path}: the pages may import only types of src/protocol, not ${path}`);
  }
  const code = withoutComments(file.text);
  if (file.path.startsWith('src/') && pure.has(folder))
    for (const word of adapters.test(file.path) ? banned : [...banned, wires])
      if (word.test(code)) problems.push(`${file.path}: ${word.source} is not for ${folder}`);
  if (file.path.endsWith('.test.ts') && leftOut.some((pattern) => pattern.test(code)))
    problems.push(`${file.path}: a test is left out`);
  return [...problems, ...strayAddresses({ path: file.path, text: code })];
}

/** What a file of any kind may not say: whose machine it was written on, or where its packages came from. */
export function strayAddresses(file: SourceFile): string[] {
  const problems: string[] = [];
  if (/https?:\/\/(?:registry|npm)\.(?!npmjs\.org\/?["'])/.test(file.text))
    problems.push(`${file.path}: names a registry’s address`);
  if (/(?:^|['"`\s=(])\/(?:root|home|work|Users)\/[A-Za-z]/m.test(file.text))
    problems.push(`${file.path}: names a path of one machine`);
  return problems;
}

/** Circles among imports that run; importing only types makes none. */
export function cyclesOf(files: readonly SourceFile[]): string[] {
  const graph = new Map(
    files.map((file) => [
      file.path,
      importsOf(file)
        .filter((it) => !it.isType)
        .map((it) => it.path),
    ]),
  );
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    const at = trail.indexOf(path);
    if (at >= 0) {
      cycles.push(`import cycle: ${[...trail.slice(at), path].join(' → ')}`);
      return;
    }
    if (done.has(path)) return;
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of graph.keys()) visit(path, []);
  return cycles;
}
