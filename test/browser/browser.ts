import { existsSync } from 'node:fs';
import { chromium, type Browser, type Frame, type Page } from 'playwright-core';
import { findChromium } from '../../scripts/chromium.ts';
import type { TestNode } from '../support/node.ts';

/** Real Chromium, quiet: without these switches it talks to its maker. */
export async function startBrowser(): Promise<Browser> {
  const executablePath = findChromium();
  if (executablePath === undefined || !existsSync(executablePath))
    throw new Error('the browser tests need Chromium: apt-get install chromium, or set CHROMIUM_PATH');
  const quiet = [
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--no-first-run',
  ];
  return chromium.launch({
    executablePath,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', ...quiet],
  });
}

export interface View {
  readonly page: Page;
  /** What page errors there were: none is the only right answer. */
  readonly errors: string[];
}

async function newPage(
  browser: Browser,
  options: { locale?: string; width?: number; height?: number },
): Promise<View> {
  const { locale = 'en-US', width = 1280, height = 820 } = options;
  const context = await browser.newContext({ locale, viewport: { width, height } });
  context.setDefaultTimeout(15_000);
  const page = await context.newPage();
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(error.message));
  return { page, errors };
}

/** The demo shop with its chat open; `chat` is the panel's own frame. */
export async function openShop(
  browser: Browser,
  node: TestNode,
  options: { locale?: string; width?: number; height?: number } = {},
): Promise<View & { chat: Frame }> {
  const view = await newPage(browser, options);
  await view.page.goto(`${node.url}/`);
  return { ...view, chat: await openChat(view.page) };
}

/** Opens the chat by its button; also after a reload. */
export async function openChat(page: Page): Promise<Frame> {
  const button = page.locator('button[aria-expanded]').first();
  await button.waitFor();
  if ((await button.getAttribute('aria-expanded')) === 'false') await button.click();
  const element = await page.locator('iframe').first().elementHandle();
  const frame = await element.contentFrame();
  await frame!.locator('textarea').waitFor();
  return frame!;
}

export async function openDesk(
  browser: Browser,
  node: TestNode,
  who: string,
  options: { locale?: string; width?: number; height?: number } = {},
): Promise<View> {
  const view = await newPage(browser, options);
  const { page } = view;
  await page.goto(`${node.url}/desk`);
  await page.locator('input[type=email]').fill(`${who}@demo.kefu`);
  await page.locator('input[type=password]').fill('demo');
  await page.keyboard.press('Enter');
  await page.locator('.presence.online').waitFor();
  return view;
}

/** The page of the cluster, after the login. */
export async function openCluster(
  browser: Browser,
  node: Pick<TestNode, 'url'>,
  who: string,
  options: { locale?: string; width?: number; height?: number } = {},
): Promise<View> {
  const view = await newPage(browser, options);
  const { page } = view;
  await page.goto(`${node.url}/cluster`);
  await page.locator('input[type=email]').fill(`${who}@demo.kefu`);
  await page.locator('input[type=password]').fill('demo');
  await page.keyboard.press('Enter');
  return view;
}

export async function write(place: Page | Frame, text: string): Promise<void> {
  await place.locator('textarea').first().fill(text);
  await place.locator('textarea').first().press('Enter');
}

/** The message's bubble, once it is there. */
export async function heard(place: Page | Frame, text: string): Promise<void> {
  await place.locator('.bubble', { hasText: text }).first().waitFor();
}

/** The texts of all bubbles, in their order. */
export function bubbles(place: Page | Frame): Promise<string[]> {
  return place.locator('.timeline .bubble').evaluateAll((all) => all.map((one) => one.textContent ?? ''));
}
