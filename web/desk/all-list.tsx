import { useEffect, useState } from 'preact/hooks';
import { Avatar } from '../shared/avatar.tsx';
import { ago, nameOf } from '../shared/format.ts';
import { Icon } from '../shared/icons.tsx';
import type { Session } from '../shared/protocol.ts';
import { complain, filter, select, selected, sessionStates, type Desk } from './store.ts';
import { d } from './words.ts';

const TYPED_MS = 250;

/** Every session this agent may read, newest first, a page at a time. */
export function AllList({ chat }: { chat: Desk }) {
  const [state, setState] = useState('');
  const [sessions, setSessions] = useState<Session[] | null>(null);
  const [next, setNext] = useState<string | null>(null);
  const q = filter.value.trim();

  useEffect(() => {
    let current = true;
    const timer = setTimeout(() => {
      chat.api.sessions({ q, state, limit: 30 }).then((page) => {
        if (!current) return;
        setSessions(page.data);
        setNext(page.next);
      }, complain);
    }, TYPED_MS);
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [q, state]);

  const more = async () => {
    try {
      const page = await chat.api.sessions({ q, state, limit: 30, cursor: next ?? undefined });
      setSessions([...(sessions ?? []), ...page.data]);
      setNext(page.next);
    } catch (error) {
      complain(error);
    }
  };

  return (
    <>
      <select
        class="field state-filter"
        value={state}
        onChange={(event) => setState(event.currentTarget.value)}
      >
        <option value="">{d('anyState')}</option>
        {sessionStates.map((each) => (
          <option key={each} value={each}>
            {d(each)}
          </option>
        ))}
      </select>
      {sessions?.length === 0 && (
        <div class="empty">
          <Icon name="search" size={34} />
          <b>{d('noAll')}</b>
        </div>
      )}
      <ul class="list">
        {sessions?.map((session) => (
          <li key={session.id}>
            <SessionButton session={session} />
          </li>
        ))}
      </ul>
      {next && (
        <button class="secondary more" onClick={() => void more()}>
          {d('loadMore')}
        </button>
      )}
    </>
  );
}

export function SessionButton({ session }: { session: Session }) {
  return (
    <button class="item" aria-current={session.id === selected.value} onClick={() => void select(session.id)}>
      <Avatar id={session.customer.id} name={nameOf(session.customer)} size={36} />
      <span class="item-text">
        <span class="item-top">
          <b>{nameOf(session.customer)}</b>
          <time>{ago(session.opened_at)}</time>
        </span>
        <span class="item-bottom">
          <span class="preview">
            {session.agent ? nameOf(session.agent) : (session.subject ?? session.group)}
          </span>
          <span class={`chip ${session.state}`}>{d(session.state)}</span>
        </span>
      </span>
    </button>
  );
}
