import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { http } from '../support/client.ts';
import { startNode } from '../support/node.ts';
import { heard, openDesk, openShop, startBrowser, write } from './browser.ts';

/** `node test/browser/screenshots.ts`: the README's pictures, of a real conversation. */
const pictures = fileURLToPath(new URL('../../docs/pictures/', import.meta.url));
mkdirSync(pictures, { recursive: true });
const node = await startNode({ env: { KEFU_LIMITS_CONNECTIONS_PER_IP: '0' } });
const browser = await startBrowser();
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
await browser.close();
await node.remove();
process.exit(0);
