import { readdirSync, readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { fileURLToPath } from 'node:url';
import type { Browser } from 'playwright-core';
import t from 'tap';
import { http, login } from '../support/client.ts';
import { startNode, type TestNode } from '../support/node.ts';
import { bubbles, heard, openChat, openDesk, openShop, startBrowser, write } from './browser.ts';

let node: TestNode;
let browser: Browser;
t.setTimeout(240_000);
t.before(async () => {
  node = await startNode({ env: { KEFU_LIMITS_CONNECTIONS_PER_IP: '0' } });
  browser = await startBrowser();
});
t.teardown(async () => {
  await browser.close();
  await node.remove();
});

t.test('two browsers talk, over a reload, a lost network, a transfer, an end and a rating', async (t) => {
  const desk = await openDesk(browser, node, 'agent1');
  const shop = await openShop(browser, node);
  let { chat } = shop;
  await write(chat, 'Is the celadon cup in stock?');
  await desk.page.locator('.item', { hasText: 'Is the celadon cup' }).first().click();
  await heard(desk.page, 'Is the celadon cup in stock?');
  await write(desk.page, 'Yes, four of them.');
  await heard(chat, 'Yes, four of them.');
  await chat.locator('.head', { hasText: '林悦' }).waitFor();

  await shop.page.reload();
  chat = await openChat(shop.page);
  await heard(chat, 'Yes, four of them.');
  t.same((await bubbles(chat)).length, 2, 'nothing is lost or doubled by a reload');

  await shop.page.context().setOffline(true);
  await chat.locator('.banner').waitFor();
  for (const text of ['One for me', 'and one for my mother', 'please']) await write(chat, text);
  await shop.page.reload().catch(() => undefined);
  await shop.page.context().setOffline(false);
  await shop.page.goto(`${node.url}/`);
  chat = await openChat(shop.page);
  await heard(desk.page, 'please');
  const seen = await bubbles(desk.page);
  t.match(seen.slice(-3), [/One for me/, /and one for my mother/, /please/], 'once, and in order');
  t.equal(seen.length, 5);

  const colleague = await openDesk(browser, node, 'agent2');
  await desk.page.getByRole('button', { name: 'Transfer' }).first().click();
  await desk.page.locator('.choice', { hasText: '周明' }).click();
  await desk.page.locator('.dialog textarea').fill('wants two cups');
  await desk.page.locator('.dialog .actions .primary').click();
  await colleague.page.locator('.item').first().click();
  await heard(colleague.page, 'and one for my mother');
  await colleague.page.locator('.note', { hasText: 'wants two cups' }).first().waitFor();
  await write(colleague.page, 'Two cups, on their way.');
  await heard(chat, 'Two cups, on their way.');
  t.notMatch(await chat.locator('body').innerText(), /wants two cups/);

  await colleague.page.getByRole('button', { name: 'Close' }).first().click();
  await colleague.page.locator('.dialog .danger').click();
  await chat.locator('.stars label').nth(4).click();
  await chat.locator('.rating textarea').fill('quick and kind');
  await chat.locator('.rating .primary').click();
  await chat.locator('.thanks').waitFor();
  const admin = await login(node, 'admin');
  const { body: list } = await http(node, 'GET', '/v1/sessions?state=closed', { token: admin.token });
  const { body: log } = await http(node, 'GET', `/v1/sessions/${list.data[0].id}/events`, {
    token: admin.token,
  });
  t.match(log.data.at(-1), { type: 'rated', score: 5, comment: 'quick and kind' });
  t.same([...desk.errors, ...shop.errors, ...colleague.errors], []);
  for (const view of [desk, shop, colleague]) await view.page.context().close();
});

t.test('a picture that is sent is seen by the other side', async (t) => {
  const desk = await openDesk(browser, node, 'agent3');
  const shop = await openShop(browser, node, { locale: 'zh-CN' });
  const png = Buffer.from(
    'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
    'base64',
  );
  t.match(await shop.chat.locator('body').innerText(), /您好/, 'Chinese where the browser is');
  await write(shop.chat, '这个杯子有裂纹');
  await shop.chat
    .locator('input[type=file]')
    .setInputFiles({ name: '杯子.png', mimeType: 'image/png', buffer: png });
  await shop.chat.locator('.picture img').first().waitFor();
  await desk.page.locator('.item').first().click();
  await desk.page.locator('.picture img').first().waitFor();
  t.same([...desk.errors, ...shop.errors], []);
  for (const view of [desk, shop]) await view.page.context().close();
});

t.test('on a phone the desk shows the list, then the conversation, and the way back', async (t) => {
  const desk = await openDesk(browser, node, 'agent4', { width: 390, height: 780 });
  const shop = await openShop(browser, node, { width: 390, height: 780 });
  await write(shop.chat, 'From my phone');
  // The agent of the test before may be chosen too; this one takes what comes to it.
  const item = desk.page.locator('.item', { hasText: 'From my phone' });
  await item.first().click();
  await heard(desk.page, 'From my phone');
  const width = await desk.page.evaluate<number>('document.documentElement.scrollWidth');
  t.ok(width <= 390, `no sideways scrolling (${width})`);
  await desk.page.getByRole('button', { name: 'Back to the list' }).click();
  await item.first().waitFor();
  t.same([...desk.errors, ...shop.errors], []);
  for (const view of [desk, shop]) await view.page.context().close();
});

t.test('the loader and the panel stay small', async (t) => {
  const dist = fileURLToPath(new URL('../../dist/web/', import.meta.url));
  const zipped = (name: string): number => gzipSync(readFileSync(dist + name)).length;
  t.ok(zipped('widget.js') < 5000, `loader ${zipped('widget.js')} bytes`);
  const page = readFileSync(`${dist}widget.html`, 'utf8');
  const parts = readdirSync(`${dist}assets`).filter((name) => page.includes(name));
  t.ok(parts.length > 1);
  const panel = zipped('widget.html') + parts.reduce((sum, name) => sum + zipped(`assets/${name}`), 0);
  t.ok(panel < 60_000, `panel ${panel} bytes`);
});
