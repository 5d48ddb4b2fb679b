import { version } from '../shared/chat.ts';
import { useState } from 'preact/hooks';
import { Avatar } from '../shared/avatar.tsx';
import { ago, nameOf, preview } from '../shared/format.ts';
import { Icon } from '../shared/icons.tsx';
import type { Presence } from '../shared/protocol.ts';
import type { SessionModel } from '../shared/session-model.ts';
import { isMuted, setMuted } from '../shared/sound.ts';
import { AllList } from './all-list.tsx';
import { SearchList } from './search-list.tsx';
import {
  desk,
  filter,
  leave,
  mine,
  now,
  presence,
  select,
  selected,
  setPresence,
  sheet,
  tab,
  unansweredSince,
  waiting,
  waitingTotal,
  type Desk,
  type Tab,
} from './store.ts';
import { d } from './words.ts';

const states: readonly Presence[] = ['online', 'busy', 'away', 'offline'];

function Me({ agent }: { agent: Desk['agent'] }) {
  const { state, open, capacity } = presence.value;
  const [muted, setMutedState] = useState(isMuted());
  const mute = () => {
    setMuted(!muted);
    setMutedState(!muted);
  };
  return (
    <header class="me">
      <Avatar id={agent.id} name={nameOf(agent)} size={40} />
      <div class="me-text">
        <b>{nameOf(agent)}</b>
        <label class={`presence ${state}`}>
          <span class="sr">{d('presence')}</span>
          <select value={state} onChange={(event) => void setPresence(event.currentTarget.value as Presence)}>
            {states.map((each) => (
              <option key={each} value={each}>
                {d(each)}
              </option>
            ))}
          </select>
        </label>
        {capacity > 0 && <small title={d('load', { open, capacity })}>{`${open}/${capacity}`}</small>}
      </div>
      <button
        class="tool"
        onClick={mute}
        aria-pressed={muted}
        aria-label={d('muted')}
        title={d(muted ? 'muted' : 'unmuted')}
      >
        <Icon name={muted ? 'mute' : 'bell'} />
      </button>
      <button class="tool" onClick={() => (sheet.value = 'help')} aria-label={d('help')} title={d('help')}>
        <Icon name="help" />
      </button>
      {agent.role === 'admin' && (
        // Opened by this tab, so that it has the same login.
        <a
          class="tool"
          href="cluster"
          target="_blank"
          rel="opener"
          aria-label={d('cluster')}
          title={d('cluster')}
        >
          <Icon name="cluster" />
        </a>
      )}
      <button class="tool" onClick={() => leave()} aria-label={d('signOut')} title={d('signOut')}>
        <Icon name="exit" />
      </button>
    </header>
  );
}

function Tabs() {
  const counts: Record<Tab, number> = { mine: mine.value.length, queue: waitingTotal(), all: 0, search: 0 };
  return (
    <div class="tabs" role="tablist" aria-label={d('lists')}>
      {(['mine', 'queue', 'all', 'search'] as const).map((each) => (
        <button key={each} role="tab" aria-selected={tab.value === each} onClick={() => (tab.value = each)}>
          {d(each)}
          {counts[each] > 0 && <span class="count">{counts[each]}</span>}
        </button>
      ))}
    </div>
  );
}

function Item({ chat, model }: { chat: Desk; model: SessionModel }) {
  // A component that reads a signal is drawn anew only for signals: the model itself tells nobody.
  void version.value;
  void now.value;
  const { customer } = model.session;
  const last = model.lastMessage();
  const isSelected = model.id === selected.value;
  const unread = model.live && !model.closed ? model.unread(chat.agent) : 0;
  const since = model.live && !model.closed ? unansweredSince(model) : null;
  const typing = model.typists().length > 0;
  const own = last?.from && last.from.kind !== 'customer';
  const late = since !== null && Date.now() - Date.parse(since) > 2 * 60_000;
  return (
    <li>
      <button
        class={`item ${unread ? 'unread' : ''} ${model.live && !model.closed ? '' : 'over'}`}
        aria-current={isSelected}
        data-session={model.id}
        onClick={() => void select(model.id)}
      >
        <Avatar id={customer.id} name={nameOf(customer)} size={42} />
        <span class="item-text">
          <span class="item-top">
            <b>{nameOf(customer)}</b>
            <time>{ago(last?.at ?? model.session.opened_at)}</time>
          </span>
          <span class="item-bottom">
            <span class="preview">
              {typing
                ? '…'
                : own
                  ? `↩ ${preview(last?.body)}`
                  : preview(last?.body) || model.session.subject || ''}
            </span>
            {unread > 0 && (
              <span class="badge" aria-label={d('unread', { n: unread })}>
                {unread}
              </span>
            )}
          </span>
          {since && late && <span class="late">{d('waits', { time: ago(since) })}</span>}
        </span>
      </button>
    </li>
  );
}

function MineList({ chat }: { chat: Desk }) {
  const models = mine.value;
  if (models.length === 0) {
    return (
      <div class="empty">
        <Icon name="chat" size={34} />
        <b>{d('noMine')}</b>
        <p>{d(presence.value.state === 'online' ? 'noMineMore' : 'noMineAway')}</p>
      </div>
    );
  }
  return (
    <ul class="list">
      {models.map((model) => (
        <Item key={model.id} chat={chat} model={model} />
      ))}
    </ul>
  );
}

function QueueList() {
  void now.value;
  const groups = Object.entries(waiting.value).filter(([, group]) => group.count > 0);
  if (groups.length === 0) {
    return (
      <div class="empty">
        <Icon name="inbox" size={34} />
        <b>{d('noQueue')}</b>
      </div>
    );
  }
  return (
    <>
      {groups.map(([name, group]) => (
        <section key={name}>
          <h3 class="group-name">
            {name} <span>{d('waitingCount', { n: group.count })}</span>
          </h3>
          <ul class="list">
            {group.sessions.map((session) => (
              <li key={session.id}>
                <button
                  class="item"
                  aria-current={session.id === selected.value}
                  onClick={() => void select(session.id)}
                >
                  <Avatar id={session.customer.id} name={nameOf(session.customer)} size={36} />
                  <span class="item-text">
                    <span class="item-top">
                      <b>{nameOf(session.customer)}</b>
                      {session.state === 'transferring' && <span class="chip">{d('transferring')}</span>}
                    </span>
                    <span class="item-bottom">
                      <span class="preview">{d('waitsSince', { time: ago(session.since) })}</span>
                    </span>
                  </span>
                </button>
              </li>
            ))}
          </ul>
        </section>
      ))}
    </>
  );
}

const fieldNames = { mine: 'filter', queue: 'filter', all: 'filterAll', search: 'searchWords' } as const;

export function Sidebar({ chat }: { chat: Desk }) {
  if (!desk.value) return null;
  const name = d(fieldNames[tab.value]);
  return (
    <nav class="sidebar" aria-label={d('lists')}>
      <Me agent={chat.client.me ?? chat.agent} />
      <Tabs />
      <label class="filter">
        <Icon name="search" size={18} />
        <span class="sr">{name}</span>
        <input
          id="filter"
          type="search"
          value={filter.value}
          placeholder={name}
          maxLength={200}
          onInput={(event) => (filter.value = event.currentTarget.value)}
        />
      </label>
      <div class="lists">
        {tab.value === 'mine' && <MineList chat={chat} />}
        {tab.value === 'queue' && <QueueList />}
        {tab.value === 'all' && <AllList chat={chat} />}
        {tab.value === 'search' && <SearchList chat={chat} />}
      </div>
    </nav>
  );
}
