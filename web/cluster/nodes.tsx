import { Fragment } from 'preact';
import type { ClusterReport } from '../../src/protocol/cluster-status.ts';
import { longTime, pageOf, shortTime } from './format.ts';
import { gone, hueOf, lit } from './store.ts';
import { c } from './words.ts';

type Member = ClusterReport['members'][number];

function Address({ url }: { url: string }) {
  const page = pageOf(url);
  if (page === undefined) return <span class="address">{url}</span>;
  return (
    <a class="address" href={page} target="_blank" rel="noopener">
      {url.replace(/^https?:\/\//, '')}
    </a>
  );
}

function Fact({ name, value, bad = false }: { name: string; value: string; bad?: boolean }) {
  return (
    <div class={bad ? 'bad' : ''}>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function time(ms: number | null | undefined): string {
  if (ms === undefined) return c('unknown');
  return ms === null ? c('silent') : shortTime(ms);
}

/** The lowest and the highest of its shards. */
function epochs(now: ClusterReport, { process }: Member): string {
  const own = now.shards.filter((shard) => shard.process === process).map(({ epoch }) => epoch);
  if (own.length === 0) return c('unknown');
  const [low, high] = [Math.min(...own), Math.max(...own)];
  return low === high ? String(low) : `${low}–${high}`;
}

function Facts({ now, member }: { now: ClusterReport; member: Member }) {
  const { health } = member;
  const isSelf = member.process === now.self;
  const up = member.startedAt === null ? c('unknown') : longTime(now.at - member.startedAt);
  const lease = health?.leaseLeftMs;
  return (
    <dl class="facts">
      <Fact name={c('version')} value={member.version} />
      <Fact name={c('workers')} value={String(member.workers)} />
      <Fact name={c('upFor')} value={up} />
      <Fact
        name={c('heard')}
        value={isSelf ? c('unknown') : c('heardAgo', { time: shortTime(member.silenceMs) })}
        bad={member.silenceMs > 1_500}
      />
      <Fact name={c('joins')} value={member.generation.slice(member.generation.lastIndexOf('.') + 1)} />
      <Fact name={c('epochs')} value={epochs(now, member)} />
      <Fact name={c('connections')} value={health ? String(health.connections) : c('unknown')} />
      <Fact name={c('queue')} value={health ? String(health.journalQueue) : c('unknown')} />
      <Fact name={c('feed')} value={health?.feed ? shortTime(health.feed.lagMs) : c('without')} />
      <Fact name="PostgreSQL" value={time(health?.databaseMs)} bad={health?.databaseMs === null} />
      <Fact
        name="NATS"
        value={now.clustered ? time(health?.natsMs) : c('without')}
        bad={now.clustered && health?.natsMs === null}
      />
      <Fact
        name={c('lease')}
        value={lease === null ? c('forEver') : lease === undefined ? c('unknown') : shortTime(lease)}
        bad={lease !== null && lease !== undefined && lease <= 0}
      />
    </dl>
  );
}

function Card({ now, member }: { now: ClusterReport; member: Member }) {
  const { node, process, draining } = member;
  const shards = now.shards.filter((shard) => shard.process === process).length;
  const isSelf = process === now.self;
  const state = draining ? 'draining' : isSelf ? 'thisNode' : 'alive';
  return (
    <li
      class={`card node hue-${hueOf(node)}`}
      data-node={node}
      data-state={state}
      onMouseEnter={() => (lit.value = process)}
      onMouseLeave={() => (lit.value = null)}
    >
      <header>
        <span class="swatch" aria-hidden="true" />
        <h3>{node}</h3>
        <span class={`chip ${state}`}>{c(state)}</span>
        <Address url={member.url} />
      </header>
      <div class="share" title={c('owns', { n: shards })}>
        <span class="bar">
          <span style={{ width: `${(100 * shards) / now.shards.length}%` }} />
        </span>
        <b>{c('owns', { n: shards })}</b>
      </div>
      <Facts now={now} member={member} />
    </li>
  );
}

function GoneCard({ now, event }: { now: ClusterReport; event: (typeof gone.value)[number] }) {
  const { node, url, kind, at } = event;
  return (
    <li class={`card node gone hue-${hueOf(node)}`} data-node={node} data-state={kind}>
      <header>
        <span class="swatch" aria-hidden="true" />
        <h3>{node}</h3>
        <span class={`chip ${kind}`}>{c(kind)}</span>
        <Address url={url} />
      </header>
      <p>{c(kind === 'lost' ? 'lostMore' : 'leftMore', { time: longTime(now.at - at) })}</p>
    </li>
  );
}

/** By name, so that every node's page shows them in the same order, and those that are gone in their old places. */
export function Nodes({ now }: { now: ClusterReport }) {
  const cards = [
    ...now.members.map((member) => ({ node: member.node, card: <Card now={now} member={member} /> })),
    ...gone.value.map((event) => ({ node: event.node, card: <GoneCard now={now} event={event} /> })),
  ].sort((a, b) => (a.node < b.node ? -1 : 1));
  return (
    <section aria-label={c('nodes')}>
      <h2>
        {c('nodes')} <span class="count">{now.members.length}</span>
      </h2>
      <ul class="nodes">
        {cards.map(({ node, card }) => (
          <Fragment key={node}>{card}</Fragment>
        ))}
      </ul>
    </section>
  );
}
