import { useState } from 'preact/hooks';
import { Avatar } from '../shared/avatar.tsx';
import { changed, version } from '../shared/chat.ts';
import { Composer } from '../shared/composer.tsx';
import { nameOf } from '../shared/format.ts';
import { Icon } from '../shared/icons.tsx';
import { Dialog, DropZone } from '../shared/parts.tsx';
import type { SessionModel } from '../shared/session-model.ts';
import { Timeline } from '../shared/timeline.tsx';
import { t } from '../shared/words.ts';
import { complain, current, focused, infoOpen, select, selected, sheet, target, type Desk } from './store.ts';
import { useEarlier } from './earlier.tsx';
import { TransferDialog } from './transfer.tsx';
import { d } from './words.ts';

function CloseDialog({ chat, model }: { chat: Desk; model: SessionModel }) {
  const [busy, setBusy] = useState(false);
  const close = () => (sheet.value = null);
  const end = async () => {
    setBusy(true);
    try {
      await chat.client.connection.request({ t: 'close', session: model.id, reason: 'agent' }, 'ok');
    } catch (error) {
      complain(error);
    }
    close();
    changed();
  };
  return (
    <Dialog title={d('closeAsk')} close={close}>
      <p>{d('closeMore')}</p>
      <div class="actions">
        <button class="secondary" onClick={close}>
          {t('cancel')}
        </button>
        <button class="primary danger" disabled={busy} onClick={() => void end()}>
          {d('close')}
        </button>
      </div>
    </Dialog>
  );
}

function Header({ model, held }: { model: SessionModel; held: boolean }) {
  void version.value;
  const { customer, state, group, subject } = model.session;
  return (
    <header class="talk-head">
      <button class="tool only-phone" onClick={() => void select(null)} aria-label={d('back')}>
        <Icon name="left" />
      </button>
      <Avatar id={customer.id} name={nameOf(customer)} size={38} />
      <div class="talk-title">
        <h1>{nameOf(customer)}</h1>
        <p>
          <span class={`chip ${state}`}>{d(state)}</span>
          <span class="talk-about">{subject || group}</span>
        </p>
      </div>
      {held && (
        <>
          <button class="secondary slim" onClick={() => (sheet.value = 'transfer')} title={d('transfer')}>
            <Icon name="swap" size={18} />
            <span>{d('transfer')}</span>
          </button>
          <button class="secondary slim" onClick={() => (sheet.value = 'close')} title={d('close')}>
            <Icon name="check" size={18} />
            <span>{d('close')}</span>
          </button>
        </>
      )}
      <button
        class="tool"
        aria-label={d('info')}
        title={d('info')}
        aria-pressed={infoOpen.value}
        onClick={() => (infoOpen.value = !infoOpen.value)}
      >
        <Icon name="info" />
      </button>
    </header>
  );
}

/** The session, and above its beginning what was said with this customer before. */
function Talk({ chat, model }: { chat: Desk; model: SessionModel }) {
  void version.value;
  const earlier = useEarlier(chat.api, model.session.customer.id, model.id);
  const wanted = target.value?.session === model.id ? target.value : null;
  return <Timeline chat={chat} model={model} watched={focused.value} earlier={earlier} target={wanted} />;
}

function aside(model: SessionModel): string {
  if (model.closed) return d('ended');
  return model.released === null ? d('readOnly') : d('left');
}

export function Conversation({ chat }: { chat: Desk }) {
  void version.value;
  const model = current.value;
  if (!selected.value || !model) {
    return (
      <main class="talk nobody">
        <div class="empty">
          <Icon name="chat" size={44} />
          <b>{d('pick')}</b>
          <p>{d('pickMore')}</p>
        </div>
      </main>
    );
  }
  const held = model.live && !model.closed;
  const sendFiles = (files: File[]) => {
    if (held) for (const file of files) chat.uploads.add(model.id, file);
  };
  return (
    <main class="talk">
      <DropZone class="talk-zone" drop={sendFiles}>
        <Header model={model} held={held} />
        <Talk key={model.id} chat={chat} model={model} />
        {held ? (
          <Composer
            draftKey={model.id}
            charsMax={chat.client.limits.message_chars}
            placeholder={d('reply')}
            autofocus
            send={(text) => chat.client.say(model.id, { type: 'text', text })}
            sendFiles={sendFiles}
            typing={() => chat.client.typing(model.id)}
          />
        ) : (
          <p class="aside" role="status">
            {aside(model)}
          </p>
        )}
      </DropZone>
      {sheet.value === 'transfer' && held && <TransferDialog chat={chat} model={model} />}
      {sheet.value === 'close' && held && <CloseDialog chat={chat} model={model} />}
    </main>
  );
}
