import type { Frame } from '../support/client.ts';

/** The same as a `say` frame, over HTTP: its ack, the error that it was answered with, or undefined when it was not. */
export async function postMessage(
  url: string,
  session: string,
  token: string,
  { id, body }: Frame,
  waitMs: number,
): Promise<Frame> {
  try {
    const answer = await fetch(`${url}/v1/sessions/${session}/messages`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ id, body: { type: 'text', text: body } }),
      signal: AbortSignal.timeout(waitMs),
    });
    const said = (await answer.json()) as { seq: number; error: object };
    return answer.ok ? { t: 'ack', seq: said.seq } : { t: 'error', ...said.error };
  } catch {
    return undefined;
  }
}
