import type { ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { version, type Chat } from './chat.ts';
import { clockTime, listSeparator, nameOf } from './format.ts';
import { Icon } from './icons.tsx';
import { MessageRow, NoteRow } from './message.tsx';
import { earlierRows, eventRows, group, pendingRows, type Row } from './rows.ts';
import type { ChatEvent } from './protocol.ts';
import type { SessionModel } from './session-model.ts';
import { t } from './words.ts';

const STEP = 50;
const ROWS_MAX = 250;
const NEAR_PX = 60;

interface Anchor {
  key: string;
  top: number;
}

/** The first row in view and where it stands, so that rows may come and go around it without it moving. */
function findAnchor(box: HTMLElement): Anchor | null {
  const top = box.getBoundingClientRect().top;
  for (const row of box.querySelectorAll<HTMLElement>('[data-key]')) {
    const rect = row.getBoundingClientRect();
    if (rect.bottom > top) return { key: row.dataset['key'] ?? '', top: rect.top };
  }
  return null;
}

function restore(box: HTMLElement, anchor: Anchor | null): void {
  const row = anchor && box.querySelector<HTMLElement>(`[data-key="${CSS.escape(anchor.key)}"]`);
  if (row) box.scrollTop += row.getBoundingClientRect().top - anchor.top;
}

function RowView({ chat, row }: { chat: Chat; row: Row }) {
  switch (row.kind) {
    case 'day':
      return (
        <div class="day" data-key={row.key}>
          <span>{row.text}</span>
        </div>
      );
    case 'system':
      return (
        <div class="system" data-key={row.key}>
          {row.text} <time>{clockTime(row.at)}</time>
        </div>
      );
    case 'note':
      return <NoteRow event={row.event} rowKey={row.key} />;
    case 'bubble':
      return <MessageRow chat={chat} bubble={row.bubble} />;
  }
}

/** What was said in sessions before this one, for readers who may scroll on beyond its beginning. */
export interface EarlierEvents {
  /** The oldest first. */
  readonly events: readonly ChatEvent[];
  /** A line or a button above them. */
  readonly top: ComponentChildren;
  /** Asks for more where there may be more. */
  load(): void;
}

export interface TimelineProps {
  chat: Chat;
  model: SessionModel | null;
  /** The reader is looking at this page: what is at the end counts as read. */
  watched: boolean;
  earlier?: EarlierEvents;
  /** An event to be shown first, in the middle; each new object is shown once. */
  target?: { readonly seq: number } | null;
  children?: ComponentChildren;
}

/**
 * The conversation. It renders a window of at most 250 entries of the log, whose end is either the live end or, when
 * the reader has scrolled far back, some entry before it: a session of thousands of messages costs no more than a
 * short one.
 */
export function Timeline({ chat, model, watched, earlier, target = null, children }: TimelineProps) {
  void version.value;
  const box = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const sticky = useRef(true);
  const [size, setSize] = useState(STEP * 2);
  const [end, setEnd] = useState<number | null>(null);
  const [away, setAway] = useState(false);
  const seen = useRef(0);
  const shown = useRef<object | null>(null);

  const head = model?.log.head ?? 0;
  const first = model?.log.first ?? 1;
  const last = Math.min(end ?? head, head);
  const start = Math.max(first, last - size + 1);
  const rows = model ? eventRows(chat, model, start, last) : [];
  if (last === head) rows.push(...pendingRows(chat, model?.id ?? null));
  if (earlier && start === 1) rows.unshift(...earlierRows(chat, earlier.events));
  const anchor = !sticky.current && box.current ? findAnchor(box.current) : null;

  const back = async () => {
    if (!model) return;
    if (start === 1) return earlier?.load();
    if (start === first && !(await chat.client.older(model))) return;
    const wanted = size + STEP;
    if (wanted > ROWS_MAX) setEnd(last - (wanted - ROWS_MAX));
    setSize(Math.min(wanted, ROWS_MAX));
  };

  const onScroll = () => {
    const view = box.current;
    if (!view) return;
    const below = view.scrollHeight - view.scrollTop - view.clientHeight;
    sticky.current = below < NEAR_PX && last === head;
    setAway(!sticky.current && (below > 300 || last !== head));
    if (view.scrollTop < NEAR_PX * 2) void back();
    else if (below < NEAR_PX && last !== head) setEnd(last + STEP < head ? last + STEP : null);
  };

  const showAround = (seq: number) => {
    // What is not shown by itself (a change of state that has no word here) is not waited for.
    if (start <= seq && seq <= last) shown.current = target;
    setEnd(seq + STEP < head ? seq + STEP : null);
    setSize(Math.min(ROWS_MAX, Math.max(STEP * 2, Math.min(head, seq + STEP) - seq + STEP)));
  };

  const toEnd = () => {
    setEnd(null);
    setSize(STEP * 2);
    sticky.current = true;
    if (model) model.log.trimTo(ROWS_MAX * 2);
    setAway(false);
  };

  useLayoutEffect(() => {
    const view = box.current;
    if (!view) return;
    const wanted = target && target !== shown.current ? target : null;
    if (wanted && first <= wanted.seq && head >= wanted.seq) {
      sticky.current = false;
      const row = view.querySelector<HTMLElement>(`[data-seq="${wanted.seq}"]`);
      if (!row) return showAround(wanted.seq);
      shown.current = wanted;
      row.scrollIntoView({ block: 'center' });
      row.classList.add('found');
      setAway(last !== head || view.scrollHeight - view.scrollTop - view.clientHeight > 300);
    } else if (sticky.current) view.scrollTop = view.scrollHeight;
    else restore(view, anchor);
  });

  // Pictures that finish loading, a growing composer and a phone's keyboard all move the end away under the reader.
  useEffect(() => {
    const view = box.current;
    const inner = content.current;
    if (!view || !inner) return;
    const observer = new ResizeObserver(() => {
      if (sticky.current) view.scrollTop = view.scrollHeight;
    });
    observer.observe(view);
    observer.observe(inner);
    return () => observer.disconnect();
  }, []);

  // A first page that does not fill the view gives nothing to scroll, so nothing would ever ask for the next.
  useEffect(() => {
    const view = box.current;
    if (model && view && first > 1 && !model.loading && view.scrollHeight <= view.clientHeight) void back();
  });

  useEffect(() => {
    if (model && watched && sticky.current) chat.client.read(model);
    if (sticky.current) seen.current = head;
  });

  const typists = model?.typists() ?? [];
  const fresh = away ? Math.max(0, head - seen.current) : 0;
  return (
    <div class="timeline">
      <div
        class="scroller"
        ref={box}
        onScroll={onScroll}
        tabIndex={0}
        aria-label={t('messages')}
        role="region"
      >
        <div class="content" ref={content} role="log" aria-live="polite" aria-relevant="additions">
          {start === 1 && earlier?.top}
          {model?.loading && <div class="loading">{t('older')}</div>}
          {group(rows).map((row) => (
            <RowView key={row.kind === 'bubble' ? row.bubble.key : row.key} chat={chat} row={row} />
          ))}
          {typists.length > 0 && (
            <div class="typing-row">
              <span class="dots" aria-hidden="true">
                <i />
                <i />
                <i />
              </span>
              {t('typing', { name: typists.map(nameOf).join(listSeparator) })}
            </div>
          )}
          {children}
        </div>
      </div>
      {away && (
        <button class="jump" onClick={toEnd} aria-label={t('latest')}>
          <Icon name="down" size={18} />
          {fresh > 0 && <span>{t('newMessages', { n: fresh })}</span>}
        </button>
      )}
    </div>
  );
}
