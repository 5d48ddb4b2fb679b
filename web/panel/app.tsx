import { useEffect, useRef, useState } from 'preact/hooks';
import { Avatar } from '../shared/avatar.tsx';
import { changed, version } from '../shared/chat.ts';
import { Composer } from '../shared/composer.tsx';
import { duration, nameOf } from '../shared/format.ts';
import { Icon } from '../shared/icons.tsx';
import { Dialog, DropZone, Lightbox, LinkBanner } from '../shared/parts.tsx';
import type { SessionModel } from '../shared/session-model.ts';
import { isMuted, setMuted } from '../shared/sound.ts';
import { Timeline } from '../shared/timeline.tsx';
import { t } from '../shared/words.ts';
import { embedded, option, post } from './host.ts';
import { Rating } from './rating.tsx';
import { chat, model as currentModel, say, sendFiles, startNew, visible, watching } from './store.ts';
import { p } from './words.ts';

function statusLine(model: SessionModel | null): string {
  switch (model?.session.state) {
    case 'waiting':
      return p('waiting');
    case 'chatting':
      return p('chatting');
    case 'transferring':
      return p('transferring');
    case 'closed':
      return p('ended');
    default:
      return p('replyTime');
  }
}

function Menu({ canEnd, end }: { canEnd: boolean; end(): void }) {
  const [open, setOpen] = useState(false);
  const [muted, setMutedState] = useState(isMuted());
  const root = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!open) return;
    const away = (event: Event) => {
      if (
        event instanceof KeyboardEvent
          ? event.key === 'Escape'
          : !root.current?.contains(event.target as Node)
      ) {
        setOpen(false);
        event.stopPropagation();
      }
    };
    document.addEventListener('pointerdown', away);
    document.addEventListener('keydown', away, true);
    return () => {
      document.removeEventListener('pointerdown', away);
      document.removeEventListener('keydown', away, true);
    };
  }, [open]);
  return (
    <div class="menu" ref={root}>
      <button
        class="tool"
        aria-label={p('menu')}
        aria-expanded={open}
        aria-haspopup="menu"
        onClick={() => setOpen(!open)}
      >
        <Icon name="more" />
      </button>
      {open && (
        <div class="menu-items" role="menu">
          <button
            role="menuitem"
            onClick={() => {
              setMuted(!muted);
              setMutedState(!muted);
              setOpen(false);
            }}
          >
            <Icon name={muted ? 'bell' : 'mute'} size={18} /> {p(muted ? 'unmute' : 'mute')}
          </button>
          {canEnd && (
            <button
              role="menuitem"
              class="danger"
              onClick={() => {
                setOpen(false);
                end();
              }}
            >
              <Icon name="exit" size={18} /> {p('end')}
            </button>
          )}
        </div>
      )}
    </div>
  );
}

function Header({ model, end }: { model: SessionModel | null; end(): void }) {
  void version.value;
  const agent = model?.session.agent ?? null;
  const title = agent ? nameOf(agent) : (option('title') ?? p('title'));
  return (
    <header class="head">
      {agent ? (
        <Avatar id={agent.id} name={nameOf(agent)} size={40} />
      ) : (
        <span class="brand-mark">
          <Icon name="chat" size={22} />
        </span>
      )}
      <div class="head-text">
        <h1>{title}</h1>
        <p>
          {model?.session.state === 'chatting' && <span class="live" aria-hidden="true" />}
          {statusLine(model)}
        </p>
      </div>
      <Menu canEnd={model !== null && !model.closed} end={end} />
      {embedded && (
        <button class="tool" aria-label={p('hide')} title={p('hide')} onClick={() => post({ type: 'close' })}>
          <Icon name="down" />
        </button>
      )}
    </header>
  );
}

function Queue({ model }: { model: SessionModel }) {
  const { queue } = model;
  if (model.session.state !== 'waiting' && model.session.state !== 'transferring') return null;
  return (
    <div class="queue" role="status">
      <span class="spinner" aria-hidden="true" />
      <div>
        <b>
          {queue ? p('position', { n: queue.position }) : statusLine(model)}
          {queue?.etaMs !== undefined && ` · ${p('eta', { time: duration(queue.etaMs) })}`}
        </b>
        <p>{p('queueHint')}</p>
      </div>
    </div>
  );
}

function Welcome() {
  return (
    <div class="welcome">
      <h2>{p('hello')}</h2>
      <p>{p('helloMore')}</p>
    </div>
  );
}

function EndDialog({ model, close }: { model: SessionModel; close(): void }) {
  const [busy, setBusy] = useState(false);
  const end = async () => {
    setBusy(true);
    try {
      await chat.client.connection.request({ t: 'close', session: model.id, reason: 'customer' }, 'ok');
      close();
    } catch {
      setBusy(false);
    }
    changed();
  };
  return (
    <Dialog title={p('endAsk')} close={close}>
      <p>{p('endMore')}</p>
      <div class="actions">
        <button class="secondary" onClick={close}>
          {t('cancel')}
        </button>
        <button class="primary danger" disabled={busy} onClick={() => void end()}>
          {p('endYes')}
        </button>
      </div>
    </Dialog>
  );
}

export function App() {
  void version.value;
  const model = currentModel.value;
  const [ending, setEnding] = useState(false);
  const empty = !model && chat.client.outbox.items.length === 0 && chat.uploads.items.length === 0;

  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key === 'Escape' && !document.querySelector('dialog[open]')) post({ type: 'close' });
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, []);

  return (
    <DropZone class="panel" drop={sendFiles}>
      <Header model={model} end={() => setEnding(true)} />
      <LinkBanner chat={chat} />
      <Timeline key={model?.id ?? 'new'} chat={chat} model={model} watched={watching.value}>
        {empty && <Welcome />}
        {model && <Queue model={model} />}
        {model?.closed && <Rating chat={chat} model={model} />}
      </Timeline>
      {model?.closed ? (
        <div class="again">
          <button class="primary" onClick={startNew}>
            {p('startNew')}
          </button>
        </div>
      ) : (
        <Composer
          draftKey="panel"
          charsMax={chat.client.limits.message_chars}
          autofocus={visible.value}
          send={say}
          sendFiles={sendFiles}
          typing={() => model && chat.client.typing(model.id)}
        />
      )}
      <p class="made-by">{p('brand')}</p>
      {ending && model && !model.closed && <EndDialog model={model} close={() => setEnding(false)} />}
      <Lightbox />
    </DropZone>
  );
}
