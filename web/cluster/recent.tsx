import type { ClusterEvent, ClusterReport } from '../../src/protocol/cluster-status.ts';
import { clockTime, shortTime } from './format.ts';
import { hueOf } from './store.ts';
import { c } from './words.ts';

function Name({ node }: { node: string }) {
  return (
    <span class={`name hue-${hueOf(node)}`}>
      <span class="swatch" aria-hidden="true" />
      {node}
    </span>
  );
}

function What({ event }: { event: ClusterEvent }) {
  if (event.kind === 'moved') {
    const count = event.shards === 1 ? c('movedOne') : c('moved', { n: event.shards });
    return (
      <span class="what">
        {event.from !== null && (
          <>
            <Name node={event.from} /> →{' '}
          </>
        )}
        <Name node={event.to} /> <b>{count}</b>
        {event.from !== null && event.gapMs > 0 && (
          <small>{c('gap', { time: shortTime(event.gapMs) })}</small>
        )}
      </span>
    );
  }
  const word = event.kind === 'came' ? 'came' : event.kind === 'lost' ? 'wentLost' : 'wentLeft';
  return <span class={`what ${event.kind}`}>{c(word, { node: event.node })}</span>;
}

export function Recent({ now }: { now: ClusterReport }) {
  return (
    <section class="card recent" aria-label={c('recent')}>
      <h2>{c('recent')}</h2>
      {now.recent.length === 0 && <p class="hint">{c('nothing')}</p>}
      <ol>
        {now.recent.map((event, index) => (
          <li key={now.recent.length - index} data-kind={event.kind}>
            <time>{clockTime(event.at)}</time>
            <What event={event} />
          </li>
        ))}
      </ol>
    </section>
  );
}
