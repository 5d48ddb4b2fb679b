import { Api } from './api.ts';
import type { Me } from './protocol.ts';

/** An agent's login, shared by the pages of one tab: two agents may sit side by side in one browser; it survives a reload. */
export interface SignedIn {
  agent: Me;
  token: string;
}

const TOKEN = 'kefu:agent';

export function remembered(): SignedIn | null {
  try {
    return JSON.parse(sessionStorage.getItem(TOKEN) ?? 'null') as SignedIn | null;
  } catch {
    return null;
  }
}

export function forget(): void {
  sessionStorage.removeItem(TOKEN);
}

/** Rejects with a Refused. */
export async function signIn(base: string, email: string, password: string): Promise<SignedIn> {
  const { agent, token } = await new Api(base).login(email, password);
  const signedIn = { agent: { ...agent, kind: agent.kind ?? 'agent' }, token };
  sessionStorage.setItem(TOKEN, JSON.stringify(signedIn));
  return signedIn;
}
