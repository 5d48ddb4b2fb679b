import type { ClusterReport } from '../../src/protocol/cluster-status.ts';
import { Icon } from '../shared/icons.tsx';
import { Login } from '../shared/login.tsx';
import { errorText } from '../shared/words.ts';
import { clockTime } from './format.ts';
import { Nodes } from './nodes.tsx';
import { Overview } from './overview.tsx';
import { Recent } from './recent.tsx';
import { ShardMap } from './shard-map.tsx';
import { forbidden, leave, login, report, signedOut, trouble, who } from './store.ts';
import { c } from './words.ts';

function Header({ now }: { now: ClusterReport | null }) {
  const self = now?.members.find(({ process }) => process === now.self);
  const isLive = now !== null && !trouble.value;
  return (
    <header class="top">
      <span class="mark">kefu</span>
      <h1>{c('heading')}</h1>
      {self && <span class="seen-by">{c('asSeenBy', { node: self.node })}</span>}
      <span class={`live ${isLive ? 'on' : 'off'}`} role="status">
        {now && c(isLive ? 'live' : 'stale')}
      </span>
      <a class="tool wide" href="desk" title={c('desk')}>
        <Icon name="chat" /> <span>{c('desk')}</span>
      </a>
      <button class="tool" onClick={() => leave()} aria-label={c('signOut')} title={c('signOut')}>
        <Icon name="exit" />
      </button>
    </header>
  );
}

function Trouble() {
  const now = trouble.value;
  if (!now) return null;
  const isAway = now.code === 'disconnected';
  const time = clockTime(now.since);
  return (
    <div class="banner away" role="alert">
      <span class="pulse" aria-hidden="true" />
      {isAway
        ? c(report.value ? 'unreachable' : 'never', { time })
        : c('refused', { why: errorText(now.code) })}
    </div>
  );
}

function Forbidden({ name }: { name: string }) {
  return (
    <main class="login">
      <div class="notice" role="alert">
        <Icon name="alert" size={34} />
        <h1>{c('onlyAdmins')}</h1>
        <p>{c('onlyAdminsMore', { name })}</p>
        <div class="actions">
          <a class="secondary" href="desk">
            {c('toDesk')}
          </a>
          <button class="primary" onClick={() => leave()}>
            {c('otherLogin')}
          </button>
        </div>
      </div>
    </main>
  );
}

export function App() {
  const signedIn = who.value;
  if (!signedIn) return <Login title={c('welcome')} signedOut={signedOut.value} login={login} />;
  if (forbidden.value) return <Forbidden name={signedIn.agent.name ?? ''} />;
  const now = report.value;
  return (
    <div class="cluster">
      <Header now={now} />
      <Trouble />
      {now ? (
        <main class={trouble.value ? 'old' : ''}>
          <Overview now={now} />
          <Nodes now={now} />
          <div class="halves">
            <ShardMap now={now} />
            <Recent now={now} />
          </div>
        </main>
      ) : (
        <p class="asking">{!trouble.value && c('asking')}</p>
      )}
    </div>
  );
}
