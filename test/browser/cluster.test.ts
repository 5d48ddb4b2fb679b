import type { Browser, Page } from 'playwright-core';
import t from 'tap';
import { TestCluster } from '../support/cluster.ts';
import { startNode, type TestNode } from '../support/node.ts';
import { openCluster, openDesk, startBrowser } from './browser.ts';

let browser: Browser;
t.setTimeout(240_000);
t.before(async () => {
  browser = await startBrowser();
});
t.teardown(() => browser.close());

async function stateOf(page: Page, node: string): Promise<string | null> {
  return page.locator(`.node[data-node="${node}"]`).getAttribute('data-state');
}

t.test('a node alone: from the desk to the page, which says when the node is away', async (t) => {
  let node: TestNode = await startNode();
  t.teardown(() => node.remove());
  const desk = await openDesk(browser, node, 'admin');
  const [page] = await Promise.all([
    desk.page.context().waitForEvent('page'),
    desk.page.getByRole('link', { name: 'The cluster' }).click(),
  ]);
  await page.locator('.verdict.good').waitFor();
  t.equal(await page.locator('.cell[data-phase="open"]').count(), 256, 'every shard, by the same login');
  t.match(await page.locator('.tiles').innerText(), /256 \/ 256/);
  await page.locator('.cell[data-shard="17"]').hover();
  await page.locator('.line', { hasText: /^Shard 17 · .+ · worker \d · epoch \d+ · serves$/ }).waitFor();
  await page.locator('.grid').press('ArrowDown');
  await page.locator('.line', { hasText: /^Shard 33 / }).waitFor();

  const { dataDir, port } = node;
  await node.kill();
  await page.locator('.banner.away').waitFor();
  t.match(await page.locator('.banner.away').innerText(), /can’t be reached since \d\d:\d\d:\d\d/);
  t.equal(await page.locator('.cell').count(), 256, 'what it said last stays');
  node = await startNode({ dataDir, port });
  await page.locator('.live.on').waitFor();
  t.equal(await page.locator('.banner.away').count(), 0);

  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.locator('input[type=password]').waitFor();
  t.same(desk.errors, []);
  await desk.page.context().close();
});

t.test('an agent who is no admin is told so, and gets no link', async (t) => {
  const node = await startNode();
  t.teardown(() => node.remove());
  const desk = await openDesk(browser, node, 'agent1');
  t.equal(await desk.page.getByRole('link', { name: 'The cluster' }).count(), 0);
  const { page, errors } = await openCluster(browser, node, 'agent1', { locale: 'zh-CN' });
  await page.getByText('此页面仅限管理员').waitFor();
  t.equal(await page.locator('.cell').count(), 0);
  await page.getByRole('button', { name: '换个账号登录' }).click();
  await page.locator('input[type=email]').fill('admin@demo.kefu');
  await page.locator('input[type=password]').fill('demo');
  await page.keyboard.press('Enter');
  await page.locator('.verdict.good').waitFor();
  t.same([...errors, ...desk.errors], []);
  await page.context().close();
  await desk.page.context().close();
});

t.test('a node is killed, and the others’ page shows it, and its return', async (t) => {
  const cluster = await TestCluster.start({ env: { KEFU_LIMITS_CONNECTIONS_PER_IP: '0' } });
  t.teardown(() => cluster.stop());
  const { page, errors } = await openCluster(browser, cluster.nodes[2]!, 'admin', {
    width: 390,
    height: 780,
  });
  await page.locator('.verdict.good').waitFor();
  t.same(await Promise.all(['n1', 'n2', 'n3'].map((node) => stateOf(page, node))), [
    'alive',
    'alive',
    'thisNode',
  ]);
  const width = await page.evaluate<number>('document.documentElement.scrollWidth');
  t.ok(width <= 390, `no sideways scrolling on a phone (${width})`);
  t.match(
    await page.locator('.node[data-node="n1"]').innerText(),
    /PostgreSQL\s+[\d.]+ m?s/,
    'told by its beats',
  );
  const moves = page.locator('.recent li[data-kind="moved"]', { hasText: 'without an owner' });
  const before = await moves.count();

  await cluster.nodes[0]!.kill();
  await page.locator('.node[data-node="n1"][data-state="lost"]').waitFor();
  await page.locator('.verdict.bad', { hasText: 'n1 was lost' }).waitFor();
  await page.locator('.tile', { hasText: '256 / 256' }).waitFor();
  t.ok((await moves.count()) > before, 'its shards went to the others');
  t.equal(await page.locator('.recent li[data-kind="lost"]').count(), 1);

  await cluster.add(0);
  await page.locator('.node[data-node="n1"][data-state="alive"]').waitFor();
  await page.locator('.verdict.good').waitFor();
  t.same(errors, []);
  await page.context().close();
});
