/**
 * The script that other people's pages load. It draws a button and, once it is pressed, a frame with the chat; both
 * in a shadow tree, so that neither side's styles reach the other. Options, all data- attributes of the script tag:
 *
 *   data-group      the skill group asked for          data-title     the panel's heading
 *   data-lang       zh or en; else the browser's       data-name      the customer's name, where the page knows it
 *   data-color      #rrggbb                            data-subject   the conversation's subject
 *   data-position   left or right (right)              data-attributes  JSON, shown to the agent
 *
 * The page may steer it by window.kefu: open(), close(), toggle().
 */
import css from './widget.css?inline';

interface Api {
  open(): void;
  close(): void;
  toggle(): void;
}

type FromPanel =
  | { kefu: 1; type: 'ready' | 'close' }
  | { kefu: 1; type: 'unread'; count: number }
  | { kefu: 1; type: 'session'; open: boolean }
  | { kefu: 1; type: 'resize'; height: number };

const CHAT = 'M4 12a8 8 0 1 1 4 6.9L4 20l1.1-4A8 8 0 0 1 4 12Z';
const CLOSE = 'm6 9 6 6 6-6';
const PASSED = ['group', 'lang', 'color', 'title', 'name', 'subject', 'attributes'];
const KEY = 'kefu:conversation';

function svg(path: string): string {
  return `<svg viewBox="0 0 24 24" width="28" height="28" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d="${path}"/></svg>`;
}

/** Whether this page's visitor has a conversation: only then is the frame loaded before it is asked for. */
function remember(open?: boolean): boolean {
  try {
    if (open === true) localStorage.setItem(KEY, '1');
    if (open === false) localStorage.removeItem(KEY);
    return localStorage.getItem(KEY) === '1';
  } catch {
    return false;
  }
}

function mount(script: HTMLScriptElement): Api {
  const options = script.dataset;
  const base = new URL('.', script.src);
  const zh = /^zh/i.test(options['lang'] ?? navigator.language);
  const color = options['color'] ?? '';
  const phone = matchMedia('(max-width: 520px), (max-height: 460px)');
  let frame: HTMLIFrameElement | null = null;
  let loaded = false;
  let opened = false;
  let unread = 0;
  let overflow = '';

  const host = document.createElement('kefu-widget');
  const root = host.attachShadow({ mode: 'open' });
  // A constructed sheet is no inline style: it passes the page's content security policy.
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(css);
  root.adoptedStyleSheets = [sheet];
  if (/^#[0-9a-f]{3,6}$/i.test(color)) host.style.setProperty('--kefu', color);
  if (options['position'] === 'left') host.setAttribute('left', '');

  const button = document.createElement('button');
  button.type = 'button';
  const badge = document.createElement('span');
  badge.className = 'badge';
  button.innerHTML = `<i>${svg(CHAT)}</i><i>${svg(CLOSE)}</i>`;
  button.append(badge);
  root.append(button);

  const draw = () => {
    host.toggleAttribute('open', opened);
    button.setAttribute('aria-expanded', String(opened));
    const label = opened ? (zh ? '收起客服窗口' : 'Close the chat') : zh ? '联系客服' : 'Chat with us';
    const count = unread > 0 && !opened ? (zh ? `，${unread} 条未读` : `, ${unread} unread`) : '';
    button.setAttribute('aria-label', label + count);
    badge.textContent = unread > 9 ? '9+' : String(unread);
    badge.hidden = opened || unread === 0;
    const full = opened && phone.matches;
    document.documentElement.style.overflow = full ? 'hidden' : overflow;
  };

  const tell = (message: object) => {
    if (loaded) frame?.contentWindow?.postMessage({ kefu: 1, ...message }, base.origin);
  };
  const tellOpen = () => tell({ type: 'open', page: { url: location.href, title: document.title } });

  const load = () => {
    if (frame) return;
    frame = document.createElement('iframe');
    const hash = new URLSearchParams({ origin: location.origin });
    for (const name of PASSED) if (options[name]) hash.set(name, options[name]);
    frame.src = new URL(`widget.html#${hash}`, base).href;
    frame.title = options['title'] ?? (zh ? '在线客服' : 'Customer service');
    frame.allow = 'clipboard-write';
    root.append(frame);
  };

  const fit = () => {
    const view = window.visualViewport;
    if (!frame || !view) return;
    // On phones the keyboard covers the page; the panel shrinks to what is left to see.
    const full = opened && phone.matches;
    frame.style.height = full ? `${view.height}px` : '';
    frame.style.top = full ? `${view.offsetTop}px` : '';
  };

  const show = (wanted: boolean) => {
    if (wanted === opened) return;
    if (wanted) {
      load();
      overflow = document.documentElement.style.overflow;
    }
    opened = wanted;
    draw();
    fit();
    if (wanted) {
      tellOpen();
      frame?.focus();
    } else {
      tell({ type: 'close' });
      button.focus();
    }
  };

  addEventListener('message', (event: MessageEvent<FromPanel | null>) => {
    if (!frame || event.source !== frame.contentWindow || event.origin !== base.origin) return;
    const message = event.data;
    if (message?.kefu !== 1) return;
    if (message.type === 'ready') {
      loaded = true;
      if (opened) tellOpen();
    } else if (message.type === 'close') show(false);
    else if (message.type === 'session') remember(message.open);
    else if (message.type === 'unread') {
      unread = Math.max(0, Math.floor(Number(message.count)) || 0);
      draw();
    } else if (message.type === 'resize') {
      const height = Math.floor(Number(message.height)) || 0;
      if (height > 0) host.style.setProperty('--kefu-height', `${Math.min(height, 900)}px`);
    }
  });
  button.addEventListener('click', () => show(!opened));
  phone.addEventListener('change', () => {
    draw();
    fit();
  });
  window.visualViewport?.addEventListener('resize', fit);
  window.visualViewport?.addEventListener('scroll', fit);

  draw();
  document.body.append(host);
  if (remember()) load();
  return { open: () => show(true), close: () => show(false), toggle: () => show(!opened) };
}

// currentScript is gone once the script has run, and async scripts may run before there is a body.
const script = document.currentScript;
const page = window as Window & { kefu?: Api };
if (script instanceof HTMLScriptElement && !page.kefu) {
  if (document.body) page.kefu = mount(script);
  else addEventListener('DOMContentLoaded', () => (page.kefu ??= mount(script)));
}
