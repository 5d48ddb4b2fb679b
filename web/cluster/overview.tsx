import type { ClusterReport } from '../../src/protocol/cluster-status.ts';
import { listSeparator } from '../shared/format.ts';
import { Icon } from '../shared/icons.tsx';
import { longTime, shortTime } from './format.ts';
import { gone } from './store.ts';
import { c } from './words.ts';

type Member = ClusterReport['members'][number];

/** What somebody should look at, the worst first. */
function problemsOf(now: ClusterReport): string[] {
  const problems: string[] = [];
  const ownerless = now.shards.filter(({ phase }) => phase === 'nobody').length;
  if (ownerless > 0) problems.push(c('ownerless', { n: ownerless }));
  const self = now.members.find(({ process }) => process === now.self)?.node ?? '';
  if (!now.lease.holds) problems.push(c('noLease', { node: self }));
  const names = (wanted: (member: Member) => boolean): string =>
    now.members
      .filter(wanted)
      .map(({ node }) => node)
      .sort()
      .join(listSeparator);
  const natsless = now.clustered
    ? names(({ node, health }) => (node === self ? !now.connected : health?.natsMs === null))
    : '';
  if (natsless !== '') problems.push(c('noNats', { node: natsless }));
  const databaseless = names(({ health }) => health?.databaseMs === null);
  if (databaseless !== '') problems.push(c('noDatabase', { node: databaseless }));
  for (const { kind, node, at } of gone.value)
    if (kind === 'lost') problems.push(c('lostNode', { node, time: longTime(now.at - at) }));
  return problems;
}

function Tile(props: { name: string; value: string; more?: string; bad?: boolean }) {
  return (
    <div class={`tile ${props.bad === true ? 'bad' : ''}`}>
      <dt>{props.name}</dt>
      <dd>
        <b>{props.value}</b>
        <small title={props.more}>{props.more}</small>
      </dd>
    </div>
  );
}

function LeaseTile({ now, self }: { now: ClusterReport; self: Member | undefined }) {
  const { holds, leftMs } = now.lease as { holds: boolean; leftMs: number | null };
  const node = self?.node ?? '';
  if (!holds) return <Tile name={c('lease')} value={c('notHeld')} more={node} bad />;
  if (leftMs === null) return <Tile name={c('lease')} value={c('forEver')} more={c('alone')} />;
  return <Tile name={c('lease')} value={shortTime(leftMs)} more={c('leaseOf', { node })} />;
}

function NatsTile({ now, self }: { now: ClusterReport; self: Member | undefined }) {
  if (!now.clustered || !now.nats) return <Tile name="NATS" value={c('without')} more={c('alone')} />;
  const { replicas, server } = now.nats;
  const ms = self?.health?.natsMs;
  if (!now.connected || ms == null) return <Tile name="NATS" value={c('silent')} more={server} bad />;
  const more = replicas === 1 ? c('replica') : c('replicas', { n: replicas });
  return <Tile name="NATS" value={shortTime(ms)} more={more} />;
}

export function Overview({ now }: { now: ClusterReport }) {
  const problems = problemsOf(now);
  const self = now.members.find(({ process }) => process === now.self);
  const owned = now.shards.filter(({ phase }) => phase !== 'nobody').length;
  const motion = now.shards.filter(({ phase }) => phase === 'claimed' || phase === 'releasing').length;
  const healths = now.members.flatMap(({ health }) => (health ? [health] : []));
  const queue = healths.reduce((sum, { journalQueue }) => sum + journalQueue, 0);
  const feeds = healths.flatMap(({ feed }) => (feed ? [feed] : []));
  const waiting = feeds.reduce((sum, feed) => sum + feed.waiting, 0);
  const lagMs = Math.max(0, ...feeds.map((feed) => feed.lagMs));
  const databaseMs = self?.health?.databaseMs ?? null;
  return (
    <section class="overview">
      <div class={`verdict ${problems.length > 0 ? 'bad' : 'good'}`} role="status">
        <Icon name={problems.length > 0 ? 'alert' : 'check'} size={26} />
        <div>
          <b>{c(problems.length > 0 ? 'problems' : 'allWell')}</b>
          {problems.map((problem) => (
            <p key={problem}>{problem}</p>
          ))}
        </div>
      </div>
      <dl class="tiles">
        <Tile
          name={c('shards')}
          value={`${owned} / ${now.shards.length}`}
          more={motion > 0 ? c('inMotion', { n: motion }) : c('owned')}
          bad={owned < now.shards.length}
        />
        <LeaseTile now={now} self={self} />
        <NatsTile now={now} self={self} />
        <Tile
          name="PostgreSQL"
          value={databaseMs === null ? c('silent') : shortTime(databaseMs)}
          more={databaseMs === null ? (self?.node ?? '') : c('answers', { node: self?.node ?? '' })}
          bad={databaseMs === null}
        />
        <Tile name={c('queue')} value={String(queue)} more={c('queueMore')} />
        {feeds.length > 0 ? (
          <Tile name={c('feed')} value={shortTime(lagMs)} more={c('feedMore', { n: waiting })} />
        ) : (
          <Tile name={c('feed')} value={c('without')} more={c('alone')} />
        )}
      </dl>
    </section>
  );
}
