import { locale } from '../shared/i18n.ts';
import { c } from './words.ts';

const clock = new Intl.DateTimeFormat(locale, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hour12: false,
});

export function clockTime(at: number): string {
  return clock.format(at);
}

/** A round trip or a gap: as exact as it matters. */
export function shortTime(ms: number): string {
  if (ms === 0) return c('milliseconds', { n: 0 });
  if (ms < 10) return c('milliseconds', { n: ms.toFixed(1) });
  if (ms < 1_000) return c('milliseconds', { n: Math.round(ms) });
  return c('seconds', { n: (ms / 1_000).toFixed(1) });
}

/** How long something lasts already, in its largest unit. */
export function longTime(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  if (seconds < 90) return c('seconds', { n: seconds });
  if (seconds < 90 * 60) return c('minutes', { n: Math.floor(seconds / 60) });
  if (seconds < 48 * 3_600) return c('hours', { n: Math.floor(seconds / 3_600) });
  return c('days', { n: Math.floor(seconds / 86_400) });
}

/** Where a link may lead that another node has told of: to a page, and nothing else. */
export function pageOf(url: string): string | undefined {
  try {
    const page = new URL('cluster', url.endsWith('/') ? url : `${url}/`);
    return page.protocol === 'http:' || page.protocol === 'https:' ? page.href : undefined;
  } catch {
    return undefined;
  }
}
