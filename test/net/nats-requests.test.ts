import t from 'tap';
import { KefuError, OutcomeUnknownError } from '../../src/core/errors.ts';
import { natsRequests, type NatsRequestsOptions } from '../../src/net/nats-requests.ts';
import { TokenBuckets } from '../../src/net/token-bucket.ts';
import type { Actor, SessionState } from '../../src/rules/session.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const session = '01920000-0000-7000-8000-000000000001';
const agent: Actor = {
  kind: 'agent',
  id: '01920000-0000-7000-8000-0000000000aa',
  name: 'Ann',
  role: 'agent',
  groups: ['support'],
};
const customer: Actor = { kind: 'customer', id: '01920000-0000-7000-8000-0000000000cc', name: 'Mei' };

type Requests = NatsRequestsOptions['requests'];

function world(requests: Partial<Requests> = {}, limit = 0) {
  const asked: unknown[][] = [];
  const filters: object[] = [];
  const failed: unknown[] = [];
  const note =
    <T>(name: string, answer: T) =>
    (...args: readonly unknown[]): Promise<T> => {
      asked.push([name, ...args]);
      return Promise.resolve(answer);
    };
  const view = { id: session, state: 'chatting' };
  const actors = new Map([agent, customer].map((actor) => [actor.id, actor]));
  const handle = natsRequests({
    clock: new VirtualClock(),
    bodyBytes: 1000,
    buckets: new TokenBuckets(limit, 2),
    failed: (error) => failed.push(error),
    tokens: {
      verify: (token) => {
        const who = { agent, customer }[token];
        if (who === undefined) return Promise.resolve(undefined);
        return Promise.resolve({
          identity: { kind: who.kind as 'agent' | 'customer', id: who.id },
          expiresAtMs: 0,
        });
      },
    },
    store: {
      listSessions: (filter) => {
        filters.push(filter);
        return Promise.resolve([] as SessionState[]);
      },
    },
    requests: {
      who: (identity) => Promise.resolve(actors.get(identity.id)!),
      view: note('view', view) as unknown as Requests['view'],
      say: note('say', { seq: 4, at: 0, repeat: false }),
      close: note('close', view) as unknown as Requests['close'],
      transfer: note('transfer', view) as unknown as Requests['transfer'],
      ...requests,
    },
  });
  const ask = (name: string, input?: unknown, token = 'agent') =>
    handle(
      name,
      token === '' ? '' : `Bearer ${token}`,
      new TextEncoder().encode(input === undefined ? '' : JSON.stringify(input)),
    );
  return { handle, ask, asked, filters, failed };
}

const code = (answer: { body: object } | undefined): string =>
  (answer!.body as { error: { code: string } }).error.code;

t.test('each request does what its HTTP route does', async (t) => {
  const { ask, asked, filters } = world();
  t.same(await ask('get', { session }), { status: 200, body: { id: session, state: 'chatting' } });
  t.same(await ask('say', { session, id: 'a', body: 'hi' }), {
    status: 200,
    body: { seq: 4, at: '1970-01-01T00:00:00.000Z' },
  });
  t.equal((await ask('close', { session, reason: 'done' }))!.status, 200);
  t.equal((await ask('transfer', { session, to: { group: 'sales' }, note: 'x' }))!.status, 200);
  t.same(asked, [
    ['view', agent, session],
    ['say', agent, session, 'a', { type: 'text', text: 'hi' }],
    ['close', agent, session, 'done'],
    ['transfer', agent, session, { group: 'sales' }, 'x'],
  ]);
  t.same(await ask('list', { state: 'waiting', limit: 5, cursor: null, q: '' }), {
    status: 200,
    body: { data: [], next: null },
  });
  t.same(filters, [{ state: 'waiting', visibleTo: { agent: agent.id, groups: ['support'] }, limit: 6 }]);
  t.equal((await ask('list'))!.status, 200, 'an empty request asks for all');
});

t.test('a repeat is told', async (t) => {
  const { ask } = world({
    say: () => Promise.resolve({ seq: 4, at: 0, repeat: true }),
  });
  t.match((await ask('say', { session, id: 'a', body: 'hi' }))!.body, { repeat: true });
});

t.test('without a token that is valid nothing is done', async (t) => {
  const { ask, handle, asked } = world();
  for (const token of ['', 'nobody']) t.equal(code(await ask('get', { session }, token)), 'unauthorized');
  t.equal((await handle('get', 'Basic agent', new Uint8Array()))!.status, 401);
  t.same(asked, []);
});

t.test('wrong requests are refused by the same rules', async (t) => {
  const { ask, handle } = world();
  t.equal(code(await ask('list', {}, 'customer')), 'forbidden');
  t.equal(code(await ask('list', { state: 'lost' })), 'bad_request');
  t.equal(code(await ask('list', { limit: 'x' })), 'bad_request');
  t.equal(code(await ask('list', { group: ['a'] })), 'bad_request');
  t.equal(code(await ask('get', {})), 'bad_request');
  t.equal(code(await ask('get', { session: 'x' })), 'not_found');
  t.equal(code(await ask('say', { session, id: '', body: 'hi' })), 'bad_request');
  t.equal(code(await ask('say', { session, id: 'a' })), 'bad_request');
  t.equal(code(await ask('transfer', { session, to: {} })), 'bad_request');
  t.equal(code(await ask('get', [])), 'bad_request');
  t.equal(code(await ask('open', {})), 'not_found');
  t.equal(code(await ask('constructor', {})), 'not_found');
  t.equal(code(await handle('get', 'Bearer agent', new TextEncoder().encode('{'))), 'bad_request');
  const large = await ask('say', { session, id: 'a', body: 'x'.repeat(1000) });
  t.equal(large!.status, 413);
  t.equal(code(large), 'too_large');
});

t.test('refusals of the actors come as they are, with when to try again', async (t) => {
  const { ask } = world({
    close: () => Promise.reject(new KefuError('unavailable', 'not now', { retryAfterMs: 100 })),
  });
  t.same(await ask('close', { session }), {
    status: 503,
    body: { error: { code: 'unavailable', message: 'not now', retry_after_ms: 100 } },
  });
});

t.test('an unknown outcome is answered only where nothing can have happened', async (t) => {
  const unknown = () => Promise.reject(new OutcomeUnknownError('no answer'));
  const { ask } = world({ view: unknown, say: unknown });
  t.equal(await ask('say', { session, id: 'a', body: 'hi' }), undefined);
  t.equal((await ask('get', { session }))!.status, 503);
});

t.test('a bug tells nothing about itself', async (t) => {
  const { ask, failed } = world({ view: () => Promise.reject(new Error('secret')) });
  const answer = await ask('get', { session });
  t.equal(answer!.status, 500);
  t.notMatch(JSON.stringify(answer), /secret/);
  t.equal(failed.length, 1);
});

t.test('one token has so many requests a second', async (t) => {
  const { ask } = world({}, 1);
  t.equal((await ask('get', { session }))!.status, 200);
  t.equal((await ask('get', { session }))!.status, 200);
  t.match(await ask('get', { session }), {
    status: 429,
    body: { error: { code: 'rate_limited', retry_after_ms: Number } },
  });
  t.equal((await ask('get', { session }, 'customer'))!.status, 200);
});
