import type { System } from '../actors/engine/types.ts';
import {
  agentKind,
  queueKind,
  type AgentProfile,
  type AgentStatus,
  type WaitingView,
} from '../actors/messages.ts';
import type { Clock } from '../core/clock.ts';
import { KefuError, refusal } from '../core/errors.ts';
import { isId, type IdSource } from '../core/ids.ts';
import type { ClusterReport } from '../protocol/cluster-status.ts';
import type { Actor } from '../rules/session.ts';
import { parseMessageBody } from './bodies-in.ts';
import { exportCustomer, type ExportApi } from './export.ts';
import { bad, fieldsOf, groupOf, integerOf, textOf } from './fields.ts';
import { visibleEvent } from './event-frames.ts';
import type { FileRoutes } from './file-routes.ts';
import { messageIdOf } from './frames-in.ts';
import { parseJson, type HttpRequest, type HttpResponse } from './http-server.ts';
import { hashPassword, verifyPassword } from './passwords.ts';
import { numberOf, optional, pageLimit } from './query.ts';
import type { Requests } from './requests.ts';
import {
  auditPage,
  eraseCustomer,
  holdCustomer,
  keepGroup,
  liftHold,
  type RightsStore,
} from './rights-routes.ts';
import {
  parseClose,
  parseLogin,
  parseOpen,
  parseRating,
  parseTransfer,
  parseVisitor,
  requestLimits,
} from './requests-in.ts';
import { searchPage, type SearchStore } from './search-page.ts';
import { sessionPage, type SessionLister } from './session-page.ts';
import { timelinePage } from './timeline.ts';
import type { Identity, Tokens } from './tokens.ts';
import type { TokenBuckets } from './token-bucket.ts';

/** What the routes need of the tables. */
export interface ApiStore extends SessionLister {
  byEmail(email: string): Promise<{ profile: AgentProfile; password: string } | undefined>;
  agentProfiles(group: string | undefined, limit: number): Promise<AgentProfile[]>;
  addAgent(agent: {
    id: string;
    email: string;
    name: string;
    role: 'agent' | 'admin';
    groups: readonly string[];
    capacity: number | null;
    password: string;
  }): Promise<AgentProfile>;
  addGroup(name: string): Promise<boolean>;
  groupExists(name: string): Promise<boolean>;
  groups(limit: number): Promise<string[]>;
  addCustomer(
    customer: { id: string; name: string; externalId: string | null; channel: string; attributes: never },
    wallMs: number,
  ): Promise<void>;
  customer(
    id: string,
  ): Promise<{ id: string; name: string; channel: string; attributes: object } | undefined>;
}

export interface ApiOptions {
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly system: System;
  readonly requests: Requests;
  readonly store: ApiStore;
  readonly tokens: Tokens;
  readonly files: FileRoutes;
  readonly search: SearchStore;
  readonly rights: RightsStore & ExportApi['rights'];
  /** The cluster as this node sees it. */
  readonly cluster: () => Promise<ClusterReport>;
  readonly logins: TokenBuckets;
  readonly customerTokenMs: number;
  readonly agentTokenMs: number;
  readonly bodyBytes: number;
  readonly historyPage: number;
}

type Route = (
  api: ApiOptions,
  request: HttpRequest,
  who: Actor,
  params: readonly string[],
) => Promise<HttpResponse>;

const statusAskMs = 3000;
const blindAfterMs = 1000;

/** Routes behind `Authorization`: method and path, where `:` stands for one segment. */
const routes = new Map<string, Route>([
  ['get /v1/me', me],
  ['post /v1/sessions', openSession],
  ['get /v1/sessions', listSessions],
  [
    'get /v1/search',
    async (api, { query }, who) => ({ status: 200, body: await searchPage(api, who, query) }),
  ],
  ['get /v1/sessions/:', getSession],
  ['get /v1/sessions/:/events', listEvents],
  ['post /v1/sessions/:/messages', postMessage],
  ['post /v1/sessions/:/transfer', transfer],
  ['post /v1/sessions/:/close', close],
  ['post /v1/sessions/:/rating', rate],
  ['post /v1/sessions/:/files', (api, request, who, [id]) => api.files.upload(request, who, session(id))],
  ['get /v1/sessions/:/files/:', downloadFile],
  [
    'get /v1/sessions/:/files/:/link',
    (api, _request, who, [id, file]) => api.files.link(who, session(id), idOr404(file)),
  ],
  [
    'get /v1/customers/:/events',
    async (api, { query }, who, [id]) => ({
      status: 200,
      body: await timelinePage(api, who, idOr404(id), query),
    }),
  ],
  [
    'post /v1/customers/:/erase',
    async (api, request, who, [id]) =>
      eraseCustomer(api, adminOnly(who), idOr404(id), await json(api, request)),
  ],
  [
    'put /v1/customers/:/hold',
    async (api, request, who, [id]) =>
      holdCustomer(api, adminOnly(who), idOr404(id), await json(api, request)),
  ],
  ['delete /v1/customers/:/hold', (api, _request, who, [id]) => liftHold(api, adminOnly(who), idOr404(id))],
  [
    'put /v1/groups/:/retention',
    async (api, request, who, [name]) =>
      keepGroup(api, adminOnly(who), groupOf(name, 'the group'), await json(api, request)),
  ],
  [
    'get /v1/audit',
    (api, { query }, who) => {
      adminOnly(who);
      return auditPage(api, query);
    },
  ],
  [
    'get /v1/customers/:/export',
    (api, _request, who, [id]) => exportCustomer(api, adminOnly(who), idOr404(id)),
  ],
  ['get /v1/agents', listAgents],
  ['post /v1/agents', addAgent],
  ['get /v1/groups', listGroups],
  ['post /v1/groups', addGroup],
  ['get /v1/cluster', cluster],
]);

const open = new Map<string, (api: ApiOptions, request: HttpRequest) => Promise<HttpResponse>>([
  ['post /v1/visitors', addVisitor],
  ['post /v1/login', login],
]);

/** Answers a path under /v1; rejects with KefuErrors. */
export async function handleApi(api: ApiOptions, request: HttpRequest): Promise<HttpResponse> {
  const plain = open.get(`${request.method} ${request.path}`);
  if (plain !== undefined) return plain(api, request);
  const segments = request.path.split('/').slice(3);
  const kind = request.path.split('/')[2] ?? '';
  const params = segments.filter((_, index) => index % 2 === 0);
  const shape = ['', 'v1', kind, ...segments.map((segment, index) => (index % 2 === 0 ? ':' : segment))].join(
    '/',
  );
  const route = routes.get(`${request.method} ${shape}`);
  if (route === undefined) {
    const known = [...routes.keys(), ...open.keys()].some((key) => key.endsWith(` ${shape}`));
    if (known)
      return { status: 405, body: { error: { code: 'bad_request', message: `no ${request.method} here` } } };
    throw new KefuError('not_found', 'there is no such route: see docs/protocol.md');
  }
  const signature = request.query.get('signature');
  if (route === downloadFile && signature !== null)
    return api.files.downloadSigned(request.path, signature, session(params[0]), idOr404(params[1]));
  return route(api, request, await authenticate(api, request, route === cluster), params);
}

async function authenticate(api: ApiOptions, request: HttpRequest, evenBlind: boolean): Promise<Actor> {
  const token = /^Bearer ([^\s]+)$/i.exec(request.header('authorization'))?.[1];
  const verified = token === undefined ? undefined : await api.tokens.verify(token);
  if (verified === undefined)
    throw new KefuError(
      'unauthorized',
      'send Authorization: Bearer TOKEN, from POST /v1/visitors or /v1/login',
    );
  const known = api.requests.who(verified.identity);
  return evenBlind ? orByToken(api, known, verified.identity) : known;
}

/**
 * What tells of a database that is away can't wait for it: who is not known in time is believed what the token says.
 * Only for reading; an admin of yesterday may see a little more for as long as the token lasts.
 */
function orByToken(api: ApiOptions, known: Promise<Actor>, { kind, id, role }: Identity): Promise<Actor> {
  const byToken: Actor = { kind, id, name: '', ...(role === 'admin' ? { role } : {}) };
  return new Promise((resolve, reject) => {
    const cancel = api.clock.after(blindAfterMs, () => resolve(byToken));
    known
      .then(resolve, (error: unknown) =>
        error instanceof KefuError && error.code === 'unavailable' ? resolve(byToken) : reject(error),
      )
      .finally(cancel);
  });
}

async function json(api: ApiOptions, request: HttpRequest): Promise<unknown> {
  return parseJson(await request.body(api.bodyBytes));
}

function session(id: string | undefined): string {
  return idOr404(id);
}

function idOr404(id: string | undefined): string {
  if (!isId(id)) throw new KefuError('not_found', 'there is nothing of that id');
  return id;
}

function agentOnly(who: Actor): void {
  if (who.kind === 'customer') throw new KefuError('forbidden', 'this is for agents');
}

function adminOnly(who: Actor): Actor {
  if (who.role !== 'admin') throw new KefuError('forbidden', 'this is for admins');
  return who;
}

async function addVisitor(api: ApiOptions, request: HttpRequest): Promise<HttpResponse> {
  const visitor = parseVisitor(await json(api, request));
  const id = api.ids.next();
  const name = visitor.name ?? `Visitor ${id.slice(-4)}`;
  // An external id from an open route is a claim, kept but never a key: nobody becomes somebody else by naming them.
  const customer = {
    id,
    name,
    externalId: visitor.externalId ?? null,
    channel: visitor.channel ?? 'web',
    attributes: (visitor.attributes ?? {}) as never,
  };
  await api.store.addCustomer(customer, api.clock.wallMs());
  const token = await api.tokens.sign({ kind: 'customer', id, name }, api.customerTokenMs);
  const { externalId, ...shown } = customer;
  return { status: 201, body: { customer: { ...shown, external_id: externalId }, token } };
}

async function login(api: ApiOptions, request: HttpRequest): Promise<HttpResponse> {
  const waitMs = api.logins.take(request.limitKey, api.clock.nowMs());
  if (waitMs > 0)
    throw new KefuError('rate_limited', 'too many logins from this address', { retryAfterMs: waitMs });
  const { email, password } = parseLogin(await json(api, request));
  const found = await api.store.byEmail(email);
  const matches = await verifyPassword(password, found?.password);
  if (found === undefined || !matches) {
    const error = { code: 'bad_credentials', message: 'the e-mail or the password is wrong' };
    return { status: 401, body: { error } };
  }
  const { id, name, role, kind, groups } = found.profile;
  const token = await api.tokens.sign({ kind, id, name, role, groups }, api.agentTokenMs);
  return { status: 200, body: { agent: { id, email: found.profile.email, name, role, groups }, token } };
}

async function me(api: ApiOptions, _request: HttpRequest, who: Actor): Promise<HttpResponse> {
  if (who.kind !== 'customer') {
    const { id, name, role, groups, kind } = who;
    const status = await api.system.ref(agentKind, id).ask<AgentStatus>({ type: 'status' }, statusAskMs);
    const profile = (await api.store.agentProfiles(undefined, 10_000)).find((agent) => agent.id === id);
    return { status: 200, body: { kind, id, name, role, groups, email: profile?.email, ...status } };
  }
  const customer = await api.store.customer(who.id);
  if (customer === undefined) throw new KefuError('unauthorized', 'this customer is not known here any more');
  const { id, name, channel, attributes } = customer;
  return { status: 200, body: { kind: 'customer', id, name, channel, attributes } };
}

async function openSession(api: ApiOptions, request: HttpRequest, who: Actor): Promise<HttpResponse> {
  const opened = await api.requests.open(who, parseOpen(await json(api, request)));
  return { status: opened.existed ? 200 : 201, body: opened.session };
}

async function getSession(
  api: ApiOptions,
  _r: HttpRequest,
  who: Actor,
  [id]: readonly string[],
): Promise<HttpResponse> {
  return { status: 200, body: await api.requests.view(who, session(id)) };
}

async function listSessions(api: ApiOptions, { query }: HttpRequest, who: Actor): Promise<HttpResponse> {
  return { status: 200, body: await sessionPage(api.store, who, query) };
}

async function listEvents(
  api: ApiOptions,
  { query }: HttpRequest,
  who: Actor,
  [id]: readonly string[],
): Promise<HttpResponse> {
  const after = numberOf(query, 'after') ?? numberOf(query, 'cursor') ?? 0;
  const limit = pageLimit(query, 100, api.historyPage);
  const from = query.has('cursor') ? (numberOf(query, 'cursor') ?? after) : after;
  const { events, more } = await api.requests.history(who, session(id), { after: from }, limit);
  const next = more && events.length > 0 ? String(events.at(-1)!.seq) : null;
  return { status: 200, body: { data: events.map((event) => visibleEvent(event, who.kind)), next } };
}

async function postMessage(
  api: ApiOptions,
  request: HttpRequest,
  who: Actor,
  [id]: readonly string[],
): Promise<HttpResponse> {
  const fields = fieldsOf(await json(api, request), 'the body');
  const body = parseMessageBody(fields['body']);
  const said = await api.requests.say(who, session(id), messageIdOf(fields['id']), body);
  const at = new Date(said.at).toISOString();
  return {
    status: said.repeat ? 200 : 201,
    body: { seq: said.seq, at, ...(said.repeat ? { repeat: true } : {}) },
  };
}

async function transfer(
  api: ApiOptions,
  request: HttpRequest,
  who: Actor,
  [id]: readonly string[],
): Promise<HttpResponse> {
  const { to, note } = parseTransfer(await json(api, request));
  return { status: 202, body: await api.requests.transfer(who, session(id), to, note) };
}

async function close(
  api: ApiOptions,
  request: HttpRequest,
  who: Actor,
  [id]: readonly string[],
): Promise<HttpResponse> {
  const { reason } = parseClose(await json(api, request));
  return { status: 200, body: await api.requests.close(who, session(id), reason) };
}

async function rate(
  api: ApiOptions,
  request: HttpRequest,
  who: Actor,
  [id]: readonly string[],
): Promise<HttpResponse> {
  const { score, comment } = parseRating(await json(api, request));
  await api.requests.rate(who, session(id), score, comment ?? null);
  return { status: 201, body: { score, comment: comment ?? null } };
}

function downloadFile(
  api: ApiOptions,
  _request: HttpRequest,
  who: Actor,
  [id, file]: readonly string[],
): Promise<HttpResponse> {
  return api.files.download(who, session(id), idOr404(file));
}

async function listAgents(api: ApiOptions, { query }: HttpRequest, who: Actor): Promise<HttpResponse> {
  agentOnly(who);
  const profiles = await api.store.agentProfiles(optional(query, 'group'), 500);
  const data = await Promise.all(
    profiles.map(async ({ id, name, groups }) => {
      const status = await api.system.ref(agentKind, id).ask<AgentStatus>({ type: 'status' }, statusAskMs);
      return { id, name, groups, ...status };
    }),
  );
  return { status: 200, body: { data, next: null } };
}

async function addAgent(api: ApiOptions, request: HttpRequest, who: Actor): Promise<HttpResponse> {
  adminOnly(who);
  const fields = fieldsOf(await json(api, request), 'the body');
  const email = textOf(fields['email'], 'email', { min: 3, max: requestLimits.emailChars, line: true });
  if (!/^[^\s@]+@[^\s@]+$/.test(email)) throw bad('email', 'an e-mail address');
  const role = fields['role'] ?? 'agent';
  if (role !== 'agent' && role !== 'admin') throw bad('role', 'agent or admin');
  const groups = fields['groups'] ?? [];
  if (!Array.isArray(groups) || groups.length > 100) throw bad('groups', 'at most 100 names of groups');
  for (const group of groups) {
    if (!(await api.store.groupExists(groupOf(group, 'each of groups'))))
      throw KefuError.from(refusal('not_found', `there is no group ${String(group)}: POST /v1/groups first`));
  }
  const profile = await api.store.addAgent({
    id: api.ids.next(),
    email,
    name: textOf(fields['name'], 'name', { min: 1, max: 100, line: true }),
    role,
    groups: groups as string[],
    capacity: fields['capacity'] == null ? null : integerOf(fields['capacity'], 'capacity', 0, 10_000),
    password: await hashPassword(
      textOf(fields['password'], 'password', { min: 1, max: requestLimits.passwordChars }),
    ),
  });
  for (const group of profile.groups) api.system.ref(agentKind, profile.id).tell({ type: 'report', group });
  const { presence: _presence, ...shown } = profile;
  return { status: 201, body: shown };
}

async function cluster(api: ApiOptions, _request: HttpRequest, who: Actor): Promise<HttpResponse> {
  adminOnly(who);
  return { status: 200, body: await api.cluster() };
}

async function listGroups(api: ApiOptions, _request: HttpRequest, who: Actor): Promise<HttpResponse> {
  agentOnly(who);
  const data = await Promise.all(
    (await api.store.groups(500)).map(async (name) => {
      const peek = { type: 'peek', limit: 0 } as const;
      const { count } = await api.system
        .ref(queueKind, name)
        .ask<{ count: number; sessions: WaitingView[] }>(peek, statusAskMs);
      return { name, waiting: count };
    }),
  );
  return { status: 200, body: { data, next: null } };
}

async function addGroup(api: ApiOptions, request: HttpRequest, who: Actor): Promise<HttpResponse> {
  adminOnly(who);
  const name = groupOf(fieldsOf(await json(api, request), 'the body')['name'], 'name');
  if (!(await api.store.addGroup(name))) throw new KefuError('conflict', `there is a group ${name} already`);
  return { status: 201, body: { name } };
}
