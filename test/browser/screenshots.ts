import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Browser } from 'playwright-core';
import { Client, http, visitor } from '../support/client.ts';
import { TestCluster } from '../support/cluster.ts';
import { startNode } from '../support/node.ts';
import { heard, openCluster, openDesk, openShop, startBrowser, write } from './browser.ts';

/** `node test/browser/screenshots.ts [talk] [cluster]`: the README's pictures, of what really happens. */
const pictures = fileURLToPath(new URL('../../docs/pictures/', import.meta.url));

async function talk(browser: Browser): Promise<void> {
  const node = await startNode({ env: { KEFU_LIMITS_CONNECTIONS_PER_IP: '0' } });
  const desk = await openDesk(browser, node, 'agent1', { width: 1280, height: 800 });
  for (const [name, subject, text] of [
    ['陈晓雨', '退换货', '昨天收到的茶壶盖子碎了，可以换一个吗？'],
    ['Jonas Weber', 'Delivery', 'My parcel says delivered but nothing is here.'],
    ['王芳', '发票', '请问怎么开发票？'],
  ] as const) {
    const { body } = await http(node, 'POST', '/v1/visitors', { body: { name } });
    const opened = await http(node, 'POST', '/v1/sessions', { token: body.token, body: { subject } });
    await http(node, 'POST', `/v1/sessions/${opened.body.id}/messages`, {
      token: body.token,
      body: { id: 'm1', body: text },
    });
  }
  const shop = await openShop(browser, node, { width: 1180, height: 780 });
  const { chat } = shop;
  await write(chat, 'Hi! Is the celadon teapot back in stock?');
  await desk.page.locator('.item', { hasText: 'celadon teapot' }).first().click();
  await heard(desk.page, 'celadon teapot');
  await write(desk.page, 'Hello! Yes, since this morning: twelve of them.');
  await heard(chat, 'twelve of them');
  await write(chat, 'Lovely. 可以包装成礼物吗? It is for my mother.');
  await heard(desk.page, 'for my mother');
  await write(desk.page, 'Of course, gift wrapping is free. 当然可以，礼品包装免费。');
  await heard(chat, '礼品包装免费');
  await write(chat, 'Perfect, I am ordering now. Thank you!');
  await heard(desk.page, 'ordering now');
  await write(desk.page, 'With pleasure. I will see that it leaves today.');
  await heard(chat, 'leaves today');
  await shop.page.screenshot({ path: `${pictures}widget.png` });
  await desk.page.screenshot({ path: `${pictures}desk.png` });
  await node.remove();
}

/** A node has just been lost, and the others have its shards. */
async function cluster(browser: Browser): Promise<void> {
  const env = { KEFU_LIMITS_CONNECTIONS_PER_IP: '0' };
  const three = await TestCluster.start({ env, natsServers: 3 });
  for (let index = 0; index < 60; index += 1) {
    const node = three.nodes[index % 3]!;
    const customer = await Client.hello(node.wsUrl, (await visitor(node)).token);
    await customer.ask({ t: 'open' });
  }
  const size = { width: 1280, height: 820 };
  const [english, chinese] = await Promise.all([
    openCluster(browser, three.nodes[0]!, 'admin', size),
    openCluster(browser, three.nodes[0]!, 'admin', { ...size, locale: 'zh-CN' }),
  ]);
  await Promise.all([english, chinese].map(({ page }) => page.locator('.verdict.good').waitFor()));
  await three.nodes[1]!.kill();
  await Promise.all([english, chinese].map(({ page }) => page.locator('.node.gone').waitFor()));
  await Promise.all([english, chinese].map(({ page }) => page.locator('.cell.fresh').first().waitFor()));
  await english.page.screenshot({ path: `${pictures}cluster.png`, fullPage: true });
  await chinese.page.screenshot({ path: `${pictures}cluster.zh-CN.png`, fullPage: true });
  await three.stop();
}

mkdirSync(pictures, { recursive: true });
const wanted = process.argv.slice(2);
const browser = await startBrowser();
for (const [name, take] of Object.entries({ talk, cluster }))
  if (wanted.length === 0 || wanted.includes(name)) await take(browser);
await browser.close();
process.exit(0);
