import { readFileSync } from 'node:fs';
import t from 'tap';
import { withKeyTables } from '../../src/config/help.ts';
import { rootKeys, sections } from '../../src/config/keys.ts';

const page = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8');

t.test('docs/configuration.md is up to date: else run npm run docs', async (t) => {
  t.equal(page, withKeyTables(page));
});

t.test('docs/configuration.md has every key and its variable', async (t) => {
  for (const name of Object.keys(rootKeys)) t.ok(page.includes(`\`KEFU_${name.toUpperCase()}\``), name);
  for (const [section, keys] of Object.entries(sections))
    for (const name of Object.keys(keys)) {
      t.ok(page.includes(`\`${section}.${name}\``), `${section}.${name}`);
      t.ok(page.includes(`\`KEFU_${section}_${name}\``.toUpperCase()), `${section}.${name}`);
    }
});

t.test('what people wrote around the tables stays', async (t) => {
  const rewritten = withKeyTables(page.replace('limits.connections`', 'limits.old`'));
  t.equal(rewritten, page);
  t.throws(() => withKeyTables('# Configuration'));
});
