import type { ClusterReport } from '../../src/protocol/cluster-status.ts';
import { fresh, hueOf, lit, picked } from './store.ts';
import { c } from './words.ts';

type Shard = ClusterReport['shards'][number];

function Cell({ shard, node }: { shard: Shard; node: string | undefined }) {
  const { phase } = shard;
  const motion = phase === 'claimed' || phase === 'releasing' ? 'motion' : '';
  const hue = node === undefined ? 'nobody' : `hue-${hueOf(node)}`;
  const dim = lit.value !== null && lit.value !== shard.process ? 'dim' : '';
  const isFresh = fresh.value.has(shard.shard) ? 'fresh' : '';
  const isPicked = picked.value === shard.shard ? 'picked' : '';
  return (
    <span
      class={`cell ${hue} ${motion} ${isFresh} ${dim} ${isPicked}`}
      data-shard={shard.shard}
      data-phase={phase}
    >
      {shard.epoch}
    </span>
  );
}

/** All that is known of the shard that is pointed at. */
function Line({ now, names }: { now: ClusterReport; names: ReadonlyMap<string, string> }) {
  const shard = picked.value === null ? undefined : now.shards[picked.value];
  if (!shard) return <p class="line">{c('mapPick')}</p>;
  const node = shard.process === null ? undefined : (names.get(shard.process) ?? shard.process);
  const parts = [
    c('shardLine', { shard: shard.shard }),
    ...(node === undefined ? [] : [node, c('worker', { n: shard.worker ?? 0 })]),
    c('epoch', { n: shard.epoch }),
    c(shard.phase),
  ];
  return (
    <p class="line" role="status">
      {parts.join(' · ')}
    </p>
  );
}

function Legend({ now }: { now: ClusterReport }) {
  const members = [...now.members].sort((a, b) => (a.node < b.node ? -1 : 1));
  const count = (wanted: (shard: Shard) => boolean) => now.shards.filter(wanted).length;
  const motion = count(({ phase }) => phase === 'claimed' || phase === 'releasing');
  const nobody = count(({ phase }) => phase === 'nobody');
  return (
    <ul class="legend">
      {members.map(({ node, process }) => (
        <li key={process} class={`hue-${hueOf(node)}`}>
          <span class="swatch" aria-hidden="true" /> {node}{' '}
          <b>{count((shard) => shard.process === process)}</b>
        </li>
      ))}
      {motion > 0 && <li>{c('inMotion', { n: motion })}</li>}
      {nobody > 0 && (
        <li class="nobody">
          <span class="swatch" aria-hidden="true" /> {c('nobody')} <b>{nobody}</b>
        </li>
      )}
    </ul>
  );
}

const steps: Readonly<Record<string, number>> = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -16, ArrowDown: 16 };

function pick(event: Event): void {
  const cell = event.target instanceof Element ? event.target.closest('[data-shard]') : null;
  if (cell) picked.value = Number(cell.getAttribute('data-shard'));
}

export function ShardMap({ now }: { now: ClusterReport }) {
  const names = new Map(now.members.map(({ process, node }) => [process, node]));
  const step = (event: KeyboardEvent) => {
    const by = steps[event.key];
    if (by === undefined) return;
    event.preventDefault();
    const next = (picked.value ?? -by) + by;
    if (next >= 0 && next < now.shards.length) picked.value = next;
  };
  return (
    <section class="card map" aria-label={c('map')}>
      <h2>{c('map')}</h2>
      <Legend now={now} />
      {/* Keys and pointer pick a shard, of which the line below tells: 256 buttons would be 256 stops of the tab key. */}
      <div
        class="grid"
        tabIndex={0}
        role="application"
        aria-label={c('map')}
        onKeyDown={step}
        onPointerMove={pick}
        onClick={pick}
      >
        {now.shards.map((shard) => (
          <Cell
            key={shard.shard}
            shard={shard}
            node={shard.process === null ? undefined : (names.get(shard.process) ?? shard.process)}
          />
        ))}
      </div>
      <Line now={now} names={names} />
      <p class="hint">{c('mapHint')}</p>
    </section>
  );
}
