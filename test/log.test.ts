import { spawnSync } from 'node:child_process';
import t from 'tap';

const module = JSON.stringify(new URL('../src/log.ts', import.meta.url).href);

/** What a process writes to standard error that logs so, in its main thread or in a worker. */
function logged(code: string, where: 'main' | 'worker' = 'main', format = 'json'): string {
  const script = `const { createLog } = await import(${module});
    const log = createLog({ level: 'info', format: '${format}' }).child({ thread: 'x' });
    ${code}`;
  const inWorker = `const { Worker } = await import('node:worker_threads');
    new Worker(new URL('data:text/javascript,' + encodeURIComponent(${JSON.stringify(script)})));`;
  const args = ['--input-type=module', '-e', where === 'main' ? script : inWorker];
  const run = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (run.status !== 0) throw new Error(run.stderr);
  return run.stderr;
}

for (const where of ['main', 'worker'] as const)
  t.test(`in the ${where} thread a line is one JSON object, written at once`, async (t) => {
    const line = logged(`log.info({ session: 's1' }, 'hello'); log.debug('not this');`, where);
    t.match(JSON.parse(line), { level: 30, thread: 'x', session: 's1', msg: 'hello' });
    t.equal(line.split('\n').length, 2);
  });

t.test('what is written last before a crash is there', async (t) => {
  t.match(logged(`log.fatal('the end'); process.reallyExit(0);`), 'the end');
});

t.test('secrets and what people wrote are left out, wherever a careless line has put them', async (t) => {
  for (const name of ['token', 'password', 'authorization', 'secret', 'body', 'text']) {
    const fields = `{ ${name}: 'hunter2', a: { ${name}: 'hunter2', b: { ${name}: 'hunter2' } } }`;
    const line = logged(`log.info(${fields}, 'x');`);
    t.notMatch(line, 'hunter2', name);
    t.equal(JSON.parse(line).a[name], '…', name);
  }
});

t.test('for people it is text, and as secret', async (t) => {
  const line = logged(`log.warn({ token: 'hunter2' }, 'hello');`, 'worker', 'pretty');
  t.match(line, /WARN.*hello/);
  t.notMatch(line, 'hunter2');
});

t.test('without a terminal it is JSON by itself', async (t) => {
  t.match(JSON.parse(logged(`log.info('hello');`, 'main', 'auto')), { msg: 'hello' });
});
