import { useEffect, useState } from 'preact/hooks';
import type { Agent, Group } from '../shared/api.ts';
import { Avatar } from '../shared/avatar.tsx';
import { Dialog } from '../shared/parts.tsx';
import type { Target } from '../shared/protocol.ts';
import type { SessionModel } from '../shared/session-model.ts';
import { t } from '../shared/words.ts';
import { complain, say, sheet, type Desk } from './store.ts';
import { d } from './words.ts';

const order = { online: 0, busy: 1, away: 2, offline: 3 } as const;

export function TransferDialog({ chat, model }: { chat: Desk; model: SessionModel }) {
  const [agents, setAgents] = useState<Agent[] | null>(null);
  const [groups, setGroups] = useState<Group[] | null>(null);
  const [kind, setKind] = useState<'agent' | 'group'>('agent');
  const [target, setTarget] = useState<Target | null>(null);
  const [note, setNote] = useState('');
  const [busy, setBusy] = useState(false);
  const close = () => (sheet.value = null);

  useEffect(() => {
    chat.api.agents().then((page) => {
      const others = page.data.filter((agent) => agent.id !== chat.agent.id);
      setAgents(others.sort((a, b) => order[a.presence] - order[b.presence] || a.open - b.open));
    }, complain);
    chat.api.groups().then((page) => setGroups(page.data), complain);
  }, []);

  const submit = async () => {
    if (!target) return;
    setBusy(true);
    try {
      const trimmed = note.trim();
      const frame = {
        t: 'transfer',
        session: model.id,
        to: target,
        ...(trimmed && { note: trimmed }),
      } as const;
      await chat.client.connection.request(frame, 'ok');
      say(d('transferred'));
      close();
    } catch (error) {
      complain(error);
      setBusy(false);
    }
  };

  return (
    <Dialog title={d('transferTo')} close={close}>
      <form
        class="transfer"
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <div class="tabs" role="tablist">
          {(['agent', 'group'] as const).map((each) => (
            <button
              key={each}
              type="button"
              role="tab"
              aria-selected={kind === each}
              onClick={() => {
                setKind(each);
                setTarget(null);
              }}
            >
              {d(each === 'agent' ? 'toAgent' : 'toGroup')}
            </button>
          ))}
        </div>
        <div class="choices" role="radiogroup" aria-label={d('transferTo')}>
          {kind === 'agent' ? (
            <Agents agents={agents} target={target} choose={setTarget} />
          ) : (
            <Groups groups={groups} target={target} choose={setTarget} />
          )}
        </div>
        <textarea
          class="field"
          rows={3}
          maxLength={2000}
          value={note}
          placeholder={d('note')}
          aria-label={d('note')}
          onInput={(event) => setNote(event.currentTarget.value)}
        />
        <div class="actions">
          <button type="button" class="secondary" onClick={close}>
            {t('cancel')}
          </button>
          <button class="primary" disabled={!target || busy}>
            {d('transfer')}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

interface ChoiceProps {
  target: Target | null;
  choose(target: Target): void;
}

function Agents({ agents, target, choose }: ChoiceProps & { agents: Agent[] | null }) {
  if (agents?.length === 0) return <p class="none">{d('noAgents')}</p>;
  return (
    <>
      {agents?.map((agent) => (
        <label key={agent.id} class={`choice ${agent.presence === 'online' ? '' : 'off'}`}>
          <input
            type="radio"
            name="target"
            // The server refuses an agent that is not online; better to say so before it is asked.
            disabled={agent.presence !== 'online'}
            checked={target !== null && 'agent' in target && target.agent === agent.id}
            onChange={() => choose({ agent: agent.id })}
          />
          <Avatar id={agent.id} name={agent.name} size={32} />
          <span class="choice-text">
            <b>{agent.name}</b>
            <small>
              {d(agent.presence)} · {agent.open}/{agent.capacity}
            </small>
          </span>
        </label>
      ))}
    </>
  );
}

function Groups({ groups, target, choose }: ChoiceProps & { groups: Group[] | null }) {
  if (groups?.length === 0) return <p class="none">{d('noGroups')}</p>;
  return (
    <>
      {groups?.map((group) => (
        <label key={group.name} class="choice">
          <input
            type="radio"
            name="target"
            checked={target !== null && 'group' in target && target.group === group.name}
            onChange={() => choose({ group: group.name })}
          />
          <span class="choice-text">
            <b>{group.name}</b>
            <small>{d('waitingCount', { n: group.waiting })}</small>
          </span>
        </label>
      ))}
    </>
  );
}
