import { lang, locale } from './i18n.ts';
import { bodyText, type Body, type Named, type Party } from './protocol.ts';
import { t } from './words.ts';

const clock = new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit', hour12: false });
const day = new Intl.DateTimeFormat(locale, { month: 'short', day: 'numeric', weekday: 'short' });
const dayOfYear = new Intl.DateTimeFormat(locale, { dateStyle: 'medium' });
const full = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'short', hour12: false });

export function clockTime(at: string): string {
  return clock.format(new Date(at));
}

export function fullTime(at: string): string {
  return full.format(new Date(at));
}

export function dayName(at: string, now = new Date()): string {
  const date = new Date(at);
  const days = Math.round((midnight(now) - midnight(date)) / 86_400_000);
  if (days === 0) return t('today');
  if (days === 1) return t('yesterday');
  return (date.getFullYear() === now.getFullYear() ? day : dayOfYear).format(date);
}

function midnight(date: Date): number {
  return new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
}

/** How long ago, in the largest unit that says enough. */
export function ago(at: string, now = Date.now()): string {
  const minutes = Math.floor((now - Date.parse(at)) / 60_000);
  if (minutes < 1) return t('justNow');
  if (minutes < 60) return t('minutes', { n: minutes });
  if (minutes < 24 * 60) return t('hours', { n: Math.floor(minutes / 60) });
  return t('days', { n: Math.floor(minutes / (24 * 60)) });
}

export function duration(ms: number): string {
  const minutes = Math.max(1, Math.round(ms / 60_000));
  return minutes < 90 ? t('minutes', { n: minutes }) : t('hours', { n: Math.round(minutes / 60) });
}

export function fileSize(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1024 * 1024) return `${Math.round(bytes / 1024)} kB`;
  return `${(bytes / 1024 / 1024).toFixed(1)} MB`;
}

/** A person's name, or for nameless visitors one that tells them apart. */
export function nameOf(who: Named | Party | null | undefined): string {
  if (!who) return '';
  return who.name || `${t('customer')} ${who.id.slice(-4)}`;
}

const CJK = /[\u3400-\u9fff\uf900-\ufaff]/;

export function initials(name: string): string {
  const trimmed = name.trim();
  const cjk = CJK.exec(trimmed);
  if (cjk) return cjk[0];
  const words = trimmed.split(/[\s._-]+/).filter(Boolean);
  return words
    .slice(0, 2)
    .map((word) => [...word][0] ?? '')
    .join('')
    .toUpperCase();
}

/** A hue by id: the same person has the same colour on every page. */
export function hueOf(id: string): number {
  let hash = 0;
  for (let index = 0; index < id.length; index += 1) hash = (hash * 31 + id.charCodeAt(index)) >>> 0;
  return hash % 360;
}

export function preview(body: Body | string | undefined): string {
  if (body === undefined) return '';
  if (typeof body !== 'string' && body.type === 'image') return `[${t('image')}]`;
  return bodyText(body).replace(/\s+/g, ' ').slice(0, 120);
}

export const listSeparator = lang === 'zh' ? '、' : ', ';
