import { KefuError } from '../core/errors.ts';
import { viewOf } from '../protocol/session-view.ts';
import type { Actor, SessionState } from '../rules/session.ts';
import type { FileRoutes } from './file-routes.ts';
import type { HttpResponse } from './http-server.ts';
import type { Requests } from './requests.ts';
import type { SessionLister } from './session-page.ts';
import { tar, type TarEntry } from './tar.ts';

export interface ExportApi {
  readonly store: SessionLister & { customer(id: string): Promise<object | undefined> };
  readonly requests: Requests;
  readonly files: FileRoutes;
  readonly rights: {
    note(
      by: { readonly id: string; readonly name: string },
      action: string,
      subject: string,
      details: object,
    ): Promise<void>;
  };
  readonly historyPage: number;
  readonly clock: { wallMs(): number };
}

const sessionsAtOnce = 100;

/**
 * All there is of a customer, as a tar that is made while it is sent: `customer.json`, `sessions/ID.json` with the
 * session and all of its events, `files/SESSION/ID-NAME`. One session, or a piece of a file, is in memory at a time.
 */
export async function exportCustomer(api: ExportApi, who: Actor, id: string): Promise<HttpResponse> {
  const customer = await api.store.customer(id);
  if (customer === undefined) throw new KefuError('not_found', 'there is no such customer');
  await api.rights.note(who, 'customer.export', id, {});
  return {
    status: 200,
    headers: [
      ['content-type', 'application/x-tar'],
      ['content-disposition', `attachment; filename="customer-${id}.tar"`],
      ['cache-control', 'no-store'],
      ['x-content-type-options', 'nosniff'],
    ],
    stream: { source: tar(entriesOf(api, who, id, customer)) },
  };
}

async function* entriesOf(api: ExportApi, who: Actor, id: string, customer: object): AsyncIterable<TarEntry> {
  const now = api.clock.wallMs();
  yield jsonEntry('customer.json', customer, now);
  let before: string | undefined;
  for (;;) {
    const filter = before === undefined ? { customer: id } : { customer: id, before };
    const sessions = await api.store.listSessions({ ...filter, limit: sessionsAtOnce });
    for (const state of sessions) {
      const whole = { session: viewOf(state), events: await eventsOf(api, who, state) };
      yield jsonEntry(`sessions/${state.id}.json`, whole, state.closedAt ?? now);
      for await (const file of api.files.contents(state.id)) yield { ...file, modifiedAtMs: state.openedAt };
    }
    if (sessions.length < sessionsAtOnce) return;
    before = sessions.at(-1)!.id;
  }
}

async function eventsOf(api: ExportApi, who: Actor, { id, lastSeq }: SessionState): Promise<unknown[]> {
  const events: unknown[] = [];
  for (let after = 0; after < lastSeq;) {
    const page = await api.requests.history(who, id, { after }, api.historyPage);
    if (page.events.length === 0) break;
    for (const event of page.events) events.push(JSON.parse(event.json));
    after = page.events.at(-1)!.seq;
  }
  return events;
}

function jsonEntry(name: string, value: unknown, modifiedAtMs: number): TarEntry {
  const bytes = Buffer.from(`${JSON.stringify(value, null, 1)}\n`);
  return { name, size: bytes.length, modifiedAtMs, content: [bytes] };
}
