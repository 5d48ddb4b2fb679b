import { Login } from '../shared/login.tsx';
import { Dialog, Lightbox, LinkBanner } from '../shared/parts.tsx';
import { Conversation } from './conversation.tsx';
import { CustomerPanel } from './customer.tsx';
import { Sidebar } from './sidebar.tsx';
import { desk, infoOpen, login, selected, sheet, signedOut, toast } from './store.ts';
import { d } from './words.ts';

const shortcuts = [
  ['Enter', 'keySend'],
  ['Shift + Enter', 'keyLine'],
  ['Alt + ↑ / ↓', 'keySwitch'],
  ['Ctrl / ⌘ + K', 'keyFilter'],
  ['/', 'keySearch'],
  ['Esc', 'keyEsc'],
  ['?', 'keyHelp'],
] as const;

function Help() {
  return (
    <Dialog title={d('help')} close={() => (sheet.value = null)}>
      <dl class="shortcuts">
        {shortcuts.map(([keys, word]) => (
          <div key={keys}>
            <dt>{d(word)}</dt>
            <dd>
              <kbd>{keys}</kbd>
            </dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}

export function App() {
  const chat = desk.value;
  if (!chat) return <Login title={d('welcome')} signedOut={signedOut.value} login={login} />;
  return (
    <div class="page">
      <LinkBanner chat={chat} />
      <div class={`desk ${selected.value ? 'talking' : ''} ${infoOpen.value ? 'with-info' : ''}`}>
        <Sidebar chat={chat} />
        <Conversation chat={chat} />
        <CustomerPanel chat={chat} />
      </div>
      {sheet.value === 'help' && <Help />}
      {toast.value && (
        <div class="toast" role="status">
          {toast.value}
        </div>
      )}
      <Lightbox />
    </div>
  );
}
