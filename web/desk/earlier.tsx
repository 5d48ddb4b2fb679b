import { useState } from 'preact/hooks';
import type { Api } from '../shared/api.ts';
import { changed } from '../shared/chat.ts';
import { Refused, type ChatEvent } from '../shared/protocol.ts';
import type { EarlierEvents } from '../shared/timeline.tsx';
import { errorText, t } from '../shared/words.ts';
import { select } from './store.ts';
import { d } from './words.ts';

const PAGE = 50;
/** Beyond these the reader goes on in the earlier session itself: a page must not grow without end. */
const EVENTS_MAX = 400;

/** What a customer and we said before this session: a page at a time, from whichever tier holds it. */
export class EarlierTalk {
  events: ChatEvent[] = [];
  loading = false;
  error = '';
  /** null: there is nothing before. */
  next: string | null;
  readonly #api: Api;
  readonly #customer: string;

  constructor(api: Api, customer: string, session: string) {
    this.#api = api;
    this.#customer = customer;
    this.next = `${session}:1`;
  }

  get isFull(): boolean {
    return this.events.length >= EVENTS_MAX;
  }

  async load(): Promise<void> {
    if (this.loading || this.next === null || this.isFull) return;
    this.loading = true;
    this.error = '';
    changed();
    try {
      const page = await this.#api.customerEvents(this.#customer, this.next, PAGE);
      this.events = [...page.data.toReversed(), ...this.events];
      this.next = page.next;
    } catch (error) {
      this.error = errorText(error instanceof Refused ? error.code : 'other');
    }
    this.loading = false;
    changed();
  }
}

/** For the timeline of one session; a component of one key a session. */
export function useEarlier(api: Api, customer: string, session: string): EarlierEvents {
  const [talk] = useState(() => new EarlierTalk(api, customer, session));
  return {
    events: talk.events,
    top: <Top talk={talk} />,
    // What failed is asked for again by hand, not by each turn of the wheel.
    load: () => void (talk.error === '' && talk.load()),
  };
}

function Top({ talk }: { talk: EarlierTalk }) {
  if (talk.loading) return <div class="loading">{t('older')}</div>;
  if (talk.error)
    return (
      <div class="loading" role="alert">
        {talk.error} <button onClick={() => void talk.load()}>{t('retry')}</button>
      </div>
    );
  const oldest = talk.events[0];
  if (talk.next === null) return <div class="loading">{d(oldest ? 'talkBegins' : 'firstTalk')}</div>;
  if (talk.isFull && oldest)
    return (
      <button class="secondary earlier-more" onClick={() => void select(oldest.session)}>
        {d('readOn')}
      </button>
    );
  return (
    <button class="secondary earlier-more" onClick={() => void talk.load()}>
      {d('earlierTalk')}
    </button>
  );
}
