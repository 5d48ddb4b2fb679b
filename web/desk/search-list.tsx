import { useEffect, useRef, useState } from 'preact/hooks';
import { Avatar } from '../shared/avatar.tsx';
import type { Found } from '../shared/api.ts';
import { fullTime, nameOf } from '../shared/format.ts';
import { Icon } from '../shared/icons.tsx';
import { Refused } from '../shared/protocol.ts';
import { errorText, t } from '../shared/words.ts';
import { Marked } from './marked.tsx';
import { filterQuery, filters, FilterFields } from './search-filters.tsx';
import { filter, select, selected, type Desk } from './store.ts';
import { d } from './words.ts';

const TYPED_MS = 300;
const PAGE = 20;

type State = { found: Found[]; next: string | null; busy: boolean; error: string };

/** All that was ever said, by its words: in memory, in the database or in the archive; the reader can't tell. */
export function SearchList({ chat }: { chat: Desk }) {
  const [{ found, next, busy, error }, setState] = useState<State>({
    found: [],
    next: null,
    busy: false,
    error: '',
  });
  const running = useRef<AbortController | null>(null);
  const q = filter.value.trim();
  const query = { q, ...filterQuery(filters.value), limit: PAGE };
  const key = JSON.stringify(query);

  const ask = async (cursor: string | null, before: Found[]) => {
    running.current?.abort();
    const own = new AbortController();
    running.current = own;
    setState({ found: before, next: cursor, busy: true, error: '' });
    try {
      const page = await chat.api.search({ ...query, cursor: cursor ?? undefined }, own.signal);
      if (own.signal.aborted) return;
      setState({ found: [...before, ...page.data], next: page.next, busy: false, error: '' });
    } catch (reason) {
      if (own.signal.aborted) return;
      const code = reason instanceof Refused ? reason.code : 'other';
      const words = code === 'bad_request' ? d('noWords') : errorText(code);
      setState({ found: before, next: cursor, busy: false, error: words });
    }
  };

  useEffect(() => {
    running.current?.abort();
    if (q === '') {
      setState({ found: [], next: null, busy: false, error: '' });
      return;
    }
    setState((old) => ({ ...old, busy: true, error: '' }));
    const timer = setTimeout(() => void ask(null, []), TYPED_MS);
    return () => clearTimeout(timer);
  }, [key]);
  useEffect(() => () => running.current?.abort(), []);

  const isOver = !busy && error === '' && q !== '';
  return (
    <div class="search" onKeyDown={moveByKeys}>
      <FilterFields chat={chat} />
      <p class="search-state" role="status">
        {busy
          ? d('searching')
          : isOver && found.length > 0
            ? d(next === null ? 'foundAll' : 'foundSoFar', { n: found.length })
            : ''}
      </p>
      {error && (
        <p class="search-error" role="alert">
          {error}{' '}
          {error !== d('noWords') && <button onClick={() => void ask(next, found)}>{t('retry')}</button>}
        </p>
      )}
      {q === '' && <Nothing title={d('searchHow')} more={d('searchHowMore')} />}
      {isOver && found.length === 0 && next === null && (
        <Nothing title={d('noAll')} more={d('noFoundMore')} />
      )}
      <ul class={`list results ${busy ? 'stale' : ''}`}>
        {found.map((one) => (
          <Result key={one.session.id} found={one} />
        ))}
      </ul>
      {next && !busy && error === '' && (
        <button class="secondary more" onClick={() => void ask(next, found)}>
          {found.length === 0 ? d('searchOlder') : d('loadMore')}
        </button>
      )}
    </div>
  );
}

function Nothing({ title, more }: { title: string; more: string }) {
  return (
    <div class="empty">
      <Icon name="search" size={34} />
      <b>{title}</b>
      <p>{more}</p>
    </div>
  );
}

function Result({ found: { session, hits } }: { found: Found }) {
  const { id, customer, subject, group, state, opened_at } = session;
  const open = () => void select(id, hits[0]?.seq);
  return (
    <li class="result" aria-current={id === selected.value}>
      <button class="item" data-session={id} onClick={open}>
        <Avatar id={customer.id} name={nameOf(customer)} size={36} />
        <span class="item-text">
          <span class="item-top">
            <b>{nameOf(customer)}</b>
            <time dateTime={opened_at}>{fullTime(opened_at)}</time>
          </span>
          <span class="item-bottom">
            <span class="preview">{subject || group}</span>
            <span class={`chip ${state}`}>{d(state)}</span>
          </span>
        </span>
      </button>
      {hits.map((hit) => (
        <button key={hit.seq} class="hit" onClick={() => void select(id, hit.seq)}>
          {hit.from && <b>{nameOf(hit.from)}</b>} <Marked text={hit.text} marks={hit.marks} />
        </button>
      ))}
    </li>
  );
}

/** Up and down go from one result to the next, as in a list; the words' field is above the first. */
function moveByKeys(event: KeyboardEvent): void {
  if (event.key !== 'ArrowDown' && event.key !== 'ArrowUp') return;
  if (event.altKey || !(event.target instanceof HTMLButtonElement)) return;
  const all = [...document.querySelectorAll<HTMLElement>('.results button, .search > .more')];
  const at = all.indexOf(event.target);
  if (at < 0) return;
  event.preventDefault();
  const next = all[at + (event.key === 'ArrowDown' ? 1 : -1)];
  (next ?? (event.key === 'ArrowUp' ? document.getElementById('filter') : null))?.focus();
}
