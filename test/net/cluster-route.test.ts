import t from 'tap';
import { KefuError } from '../../src/core/errors.ts';
import { handleApi, type ApiOptions } from '../../src/net/api.ts';
import type { HttpRequest, HttpResponse } from '../../src/net/http-server.ts';

const report = { self: 'n1' };
const never = new Promise<never>(() => undefined);

/** GET path with a token that says `role`, when the tables say `known`, and time passes at once where it is waited for. */
function ask(role: string, known: Promise<object>, path = '/v1/cluster'): Promise<HttpResponse> {
  const id = '0190b8a0-0000-7000-8000-000000000000';
  const api = {
    clock: {
      after: (_ms: number, then: () => void) => {
        const timer = setImmediate(then);
        return () => clearImmediate(timer);
      },
    },
    tokens: { verify: () => Promise.resolve({ identity: { kind: 'agent', id, role }, expiresAtMs: 0 }) },
    requests: { who: () => known },
    cluster: () => Promise.resolve(report),
  } as unknown as ApiOptions;
  const header = (name: string): string => (name === 'authorization' ? 'Bearer x' : '');
  return handleApi(api, {
    method: 'get',
    path,
    header,
    query: new URLSearchParams(),
  } as unknown as HttpRequest);
}

t.test('the tables decide who may see the cluster, as long as they answer', async (t) => {
  t.match(await ask('agent', Promise.resolve({ kind: 'agent', role: 'admin' })), {
    status: 200,
    body: report,
  });
  const demoted = Promise.resolve({ kind: 'agent', role: 'agent' });
  await t.rejects(ask('admin', demoted), { code: 'forbidden' });
  const removed = Promise.reject(new KefuError('unauthorized', 'not known here any more'));
  await t.rejects(ask('admin', removed), { code: 'unauthorized' });
});

t.test('while the tables are away an admin’s token is enough to see it, and for nothing else', async (t) => {
  const away = (): Promise<never> => Promise.reject(new KefuError('unavailable', 'the database is away'));
  t.match(await ask('admin', away()), { status: 200, body: report });
  t.match(await ask('admin', never), { status: 200, body: report }, 'also when they hang');
  await t.rejects(ask('agent', away()), { code: 'forbidden' });
  await t.rejects(ask('admin', away(), '/v1/groups'), { code: 'unavailable' });
});
