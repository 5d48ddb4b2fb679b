// The other half of loader/widget.ts: what the frame and the page around it say to each other.

export interface HostPage {
  url?: string;
  title?: string;
}

export type FromHost = { type: 'open'; page?: HostPage } | { type: 'close' };
export type ToHost =
  | { type: 'ready' }
  | { type: 'close' }
  | { type: 'unread'; count: number }
  | { type: 'session'; open: boolean }
  | { type: 'resize'; height: number };

const options = new URLSearchParams(location.hash.slice(1));

export const embedded = window.parent !== window;

/** Browsers that tell who embeds the frame are believed rather than the address. */
const hostOrigin = location.ancestorOrigins?.[0] ?? options.get('origin') ?? '';

export function option(name: string): string | null {
  return options.get(name);
}

export function post(message: ToHost): void {
  if (embedded && hostOrigin) window.parent.postMessage({ kefu: 1, ...message }, hostOrigin);
}

export function listen(take: (message: FromHost) => void): void {
  addEventListener('message', (event: MessageEvent<unknown>) => {
    if (event.source !== window.parent || event.origin !== hostOrigin) return;
    const data = event.data;
    if (typeof data !== 'object' || data === null || !('kefu' in data) || data.kefu !== 1) return;
    take(data as unknown as FromHost);
  });
}
