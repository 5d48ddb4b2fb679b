import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { Avatar } from '../shared/avatar.tsx';
import { version } from '../shared/chat.ts';
import { fullTime, nameOf } from '../shared/format.ts';
import { Icon } from '../shared/icons.tsx';
import type { Session } from '../shared/protocol.ts';
import { isAddress, Text } from '../shared/text.tsx';
import { t } from '../shared/words.ts';
import { current, infoOpen, select, type Desk } from './store.ts';
import { d } from './words.ts';

function Row({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}

function show(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function Earlier({ chat, session }: { chat: Desk; session: Session }) {
  const [sessions, setSessions] = useState<Session[] | null>(null);
  useEffect(() => {
    let wanted = true;
    setSessions(null);
    chat.api.sessions({ customer: session.customer.id, limit: 20 }).then(
      (page) => wanted && setSessions(page.data.filter((each) => each.id !== session.id)),
      () => wanted && setSessions([]),
    );
    return () => {
      wanted = false;
    };
  }, [session.id, session.state]);
  if (sessions?.length === 0) return <p class="none">{d('noEarlier')}</p>;
  return (
    <ul class="earlier">
      {sessions?.map((each) => (
        <li key={each.id}>
          <button onClick={() => void select(each.id)}>
            <b>{each.subject || fullTime(each.opened_at)}</b>
            <small>
              {d(each.state)}
              {each.agent && ` · ${nameOf(each.agent)}`}
              {each.subject && ` · ${fullTime(each.opened_at)}`}
            </small>
          </button>
        </li>
      ))}
    </ul>
  );
}

/** Who the agent talks to: what is known of the customer and of this session, and what came before. */
export function CustomerPanel({ chat }: { chat: Desk }) {
  void version.value;
  const model = current.value;
  if (!model || !infoOpen.value) return null;
  const { session } = model;
  const { customer } = session;
  const attributes = Object.entries(session.attributes ?? {});
  return (
    <aside class="info" aria-label={d('info')}>
      <button class="tool close-info" onClick={() => (infoOpen.value = false)} aria-label={t('close')}>
        <Icon name="close" />
      </button>
      <div class="info-head">
        <Avatar id={customer.id} name={nameOf(customer)} size={64} />
        <h2>{nameOf(customer)}</h2>
      </div>
      {attributes.length > 0 && (
        <section>
          <h3>{d('attributes')}</h3>
          <dl>
            {attributes.map(([name, value]) => (
              <Row key={name} name={name}>
                {isAddress(show(value)) ? <Text text={show(value)} /> : show(value)}
              </Row>
            ))}
          </dl>
        </section>
      )}
      <section>
        <h3>{d('conversation')}</h3>
        <dl>
          {session.subject && <Row name={d('subject')}>{session.subject}</Row>}
          <Row name={d('group')}>{session.group}</Row>
          {session.agent && <Row name={d('agent')}>{nameOf(session.agent)}</Row>}
          <Row name={d('channel')}>{session.channel}</Row>
          <Row name={d('since')}>{fullTime(session.opened_at)}</Row>
          {session.closed_at && <Row name={d('until')}>{fullTime(session.closed_at)}</Row>}
        </dl>
      </section>
      <section>
        <h3>{d('earlier')}</h3>
        <Earlier chat={chat} session={session} />
      </section>
    </aside>
  );
}
