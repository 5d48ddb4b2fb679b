import type { Browser } from 'playwright-core';
import t from 'tap';
import { http, visitor } from '../support/client.ts';
import { startNode, type TestNode } from '../support/node.ts';
import { bubbles, openDesk, startBrowser } from './browser.ts';

let node: TestNode;
let browser: Browser;
t.setTimeout(240_000);
t.before(async () => {
  node = await startNode({
    env: {
      KEFU_LIMITS_CONNECTIONS_PER_IP: '0',
      KEFU_LIMITS_REQUESTS_PER_SECOND_PER_IP: '0',
      KEFU_SEARCH_EVERY: '100ms',
      KEFU_ARCHIVE_AFTER: '0',
      KEFU_ARCHIVE_EVERY: '200ms',
      KEFU_STORE_HOT_BYTES: '65536',
    },
  });
  browser = await startBrowser();
});
t.teardown(async () => {
  await browser.close();
  await node.remove();
});

/** A session of this customer with these messages, closed; its id. */
async function talk(token: string, subject: string, texts: readonly string[]): Promise<string> {
  const body = { subject, attributes: { tags: [subject] } };
  const { id } = (await http(node, 'POST', '/v1/sessions', { token, body })).body;
  for (const [index, text] of texts.entries())
    await http(node, 'POST', `/v1/sessions/${id}/messages`, { token, body: { id: `m${index}`, body: text } });
  await http(node, 'POST', `/v1/sessions/${id}/close`, { token, body: {} });
  return id as string;
}

async function archived(sessions: number): Promise<void> {
  for (const endMs = performance.now() + 30_000; ;) {
    const { body } = await http(node, 'GET', '/metrics');
    if (Number(/^kefu_archived_total\{what="sessions"\} (\d+)$/m.exec(String(body))?.[1]) >= sessions) return;
    if (performance.now() > endMs) throw new Error('nothing was archived');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

t.test(
  'an agent finds old talk by its words, and reads it in its place and back to the first session',
  async (t) => {
    const { token } = await visitor(node, '陈晓雨');
    const many = Array.from({ length: 130 }, (_, n) => `row ${n}`);
    many[20] = '我要退货，<img src=x onerror="document.title=1"> teapot 碎了';
    const sessions = [
      await talk(token, 'first', ['hello, 退货 of a teapot']),
      await talk(token, 'second', many),
      await talk(token, 'third', ['nothing of the kind']),
    ];
    await archived(3);
    const { page, errors } = await openDesk(browser, node, 'admin');
    await page.locator('body').press('/');
    await page.keyboard.type('退货 TEAPOT');
    const results = page.locator('.result');
    await page.locator('.search-state', { hasText: '2 found' }).waitFor();
    t.same(
      await results.locator('.item').evaluateAll((all) => all.map((one) => one.getAttribute('data-session'))),
      [sessions[1], sessions[0]],
      'newest first',
    );
    t.same(await results.first().locator('mark').allTextContents(), ['退货', 'teapot']);
    t.equal(await page.locator('.results img').count(), 0, 'what people write is never markup');

    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    const found = page.locator('.message.found');
    await found.waitFor();
    t.match(await found.innerText(), /我要退货，<img/);
    const [box, row] = [(await page.locator('.scroller').boundingBox())!, (await found.boundingBox())!];
    t.ok(row.y > box.y && row.y + row.height < box.y + box.height, 'in sight');
    t.equal(await page.locator('.composer').count(), 0, 'read only');

    const beginning = page.locator('.loading', { hasText: 'nothing before' });
    for (let n = 0; n < 40 && (await beginning.count()) === 0; n += 1) {
      await page.locator('.scroller').evaluate((box) => (box.scrollTop = 0));
      await page.waitForTimeout(100);
    }
    const texts = await bubbles(page);
    t.match(texts[0], /hello, 退货 of a teapot/, 'the customer’s first session stands before this one');
    t.match(texts.slice(1, 22).join(), /^row 0.*row 19.*退货/s);
    t.equal(await page.evaluate('document.title'), 'kefu desk');
    t.same(errors, []);
    await page.context().close();
  },
);

t.test('filters, pages, and what to say when nothing is found or it can’t be looked for', async (t) => {
  for (let n = 0; n < 23; n += 1) {
    const { token } = await visitor(node, `Jonas ${n}`);
    await talk(token, n === 4 ? 'vip' : `basket ${n}`, ['a wicker basket']);
  }
  const { page, errors } = await openDesk(browser, node, 'admin', { locale: 'zh-CN' });
  await page.getByRole('tab', { name: '搜索' }).click();
  await page.getByText('查找消息、姓名和主题中的词语').waitFor();
  const field = page.locator('#filter');
  await field.fill('wicker');
  await page.locator('.search-state', { hasText: '已找到 20 个会话' }).waitFor();
  await page.getByRole('button', { name: '加载更多' }).click();
  await page.locator('.search-state', { hasText: '共 23 个会话' }).waitFor();
  const ids = await page
    .locator('.result .item')
    .evaluateAll((all) => all.map((one) => one.getAttribute('data-session')!));
  t.same(
    ids,
    ids.toSorted((a, b) => (a < b ? 1 : -1)),
    'newest first over the pages',
  );
  t.equal(new Set(ids).size, 23, 'each once');

  await page.locator('.filters summary').click();
  const choices = page.locator('.filters select');
  await page.getByLabel('标签').fill('vip');
  await page.locator('.search-state', { hasText: '共 1 个会话' }).waitFor();
  await page.getByLabel('截止日期').fill('2020-01-31');
  await page.getByText('没有找到会话').waitFor();
  await page.getByRole('button', { name: '清除筛选' }).click();
  await choices.nth(0).selectOption('waiting');
  await page.getByText('没有找到会话').waitFor();
  await choices.nth(0).selectOption('closed');
  await choices.nth(1).selectOption('support');
  await page.locator('.search-state', { hasText: '已找到 20 个会话' }).waitFor();
  await field.fill('…');
  await page.getByText('请输入要查找的文字或数字').waitFor();

  await page.route('**/v1/search?*', (route) => route.fulfill({ status: 503, json: {} }));
  await field.fill('basket');
  await page.getByText('服务暂时不可用').waitFor();
  await page.unroute('**/v1/search?*');
  await page.getByRole('alert').getByRole('button', { name: '重试' }).click();
  await page.locator('.search-state', { hasText: '已找到 20 个会话' }).waitFor();
  t.same(errors, []);
  await page.context().close();
});
