import { randomBytes } from 'node:crypto';
import { StartError } from '../core/start-error.ts';
import { ask, type Answer } from './ask.ts';
import { sourceAddress, type Node } from './target.ts';

/** The agents of a run, made by an admin. */
export interface CrewOptions {
  readonly nodes: readonly Node[];
  readonly admin: { readonly email: string; readonly password: string };
  readonly count: number;
  readonly capacity: number;
  readonly run: string;
  readonly group: string;
}

const width = 4;
const attemptsMax = 60;
const retryMs = 1000;
/** The block of source addresses that is nobody else's. */
const addressBlock = 30;

/** Their tokens; rejects with StartErrors. */
export async function makeCrew(options: CrewOptions): Promise<string[]> {
  const { nodes, admin, count, capacity, run, group } = options;
  const [node] = nodes as [Node];
  const from = (place: number): string | undefined =>
    node.hasSources ? sourceAddress(addressBlock, place) : undefined;
  const login = await post(node, '/v1/login', admin, undefined, from(0));
  if (login.status === 401)
    throw new StartError(`--admin: ${admin.email} and its password are not known there`);
  const token = tokenOf(login, '/v1/login');
  if (login.body.agent.role !== 'admin')
    throw new StartError(`--admin: ${admin.email} is no admin, and can’t make agents`);
  const made = await post(node, '/v1/groups', { name: group }, token, from(0));
  if (made.status !== 201 && made.status !== 409 && made.status !== 200)
    throw new StartError(`POST /v1/groups: ${made.status} ${JSON.stringify(made.body)}`);
  const tokens: string[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < count) {
      const number = next;
      next += 1;
      const email = `stress-${run}-${number + 1}@stress.invalid`;
      const password = randomBytes(18).toString('base64url');
      const name = `Stress ${run} agent ${number + 1}`;
      const fields = { email, name, password, groups: [group], capacity };
      const answer = await post(node, '/v1/agents', fields, token, from(number));
      if (answer.status !== 201)
        throw new StartError(`POST /v1/agents: ${answer.status} ${JSON.stringify(answer.body)}`);
      tokens.push(
        tokenOf(await post(node, '/v1/login', { email, password }, undefined, from(number)), email),
      );
    }
  };
  await Promise.all(Array.from({ length: width }, work));
  return tokens;
}

function tokenOf(answer: Answer, what: string): string {
  if (answer.status === 200) return answer.body.token as string;
  throw new StartError(`${what}: ${answer.status} ${JSON.stringify(answer.body)}`);
}

/** Waits where it is refused for a while, as a client should. */
async function post(
  node: Node,
  path: string,
  body: object,
  token: string | undefined,
  localAddress: string | undefined,
): Promise<Answer> {
  for (let attempt = 1; ; attempt += 1) {
    const answer = await ask(node, 'POST', path, {
      body,
      localAddress,
      ...(token === undefined ? {} : { token }),
    }).catch((error: unknown) => {
      throw new StartError(`${node.url}${path} can’t be asked: ${(error as Error).message}`);
    });
    if ((answer.status !== 429 && answer.status !== 503) || attempt >= attemptsMax) return answer;
    await new Promise((resolve) => setTimeout(resolve, answer.retryAfterMs ?? retryMs));
  }
}
