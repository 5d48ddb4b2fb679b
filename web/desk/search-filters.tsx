import { signal } from '@preact/signals';
import { useEffect, useState } from 'preact/hooks';
import type { Agent, Group } from '../shared/api.ts';
import { nameOf } from '../shared/format.ts';
import { sessionStates, type Desk } from './store.ts';
import { d } from './words.ts';

interface Filters {
  state: string;
  group: string;
  agent: string;
  tag: string;
  /** Days of this browser's calendar, both included. */
  from: string;
  to: string;
}

const none: Filters = { state: '', group: '', agent: '', tag: '', from: '', to: '' };
/** Kept while the agent looks at other lists. */
export const filters = signal<Filters>(none);

function startOfDay(day: string, more = 0): string {
  if (day === '') return '';
  const date = new Date(`${day}T00:00:00`);
  date.setDate(date.getDate() + more);
  return Number.isNaN(date.getTime()) ? '' : date.toISOString();
}

export function filterQuery({ from, to, tag, ...rest }: Filters) {
  return { ...rest, tag: tag.trim(), from: startOfDay(from), to: startOfDay(to, 1) };
}

export function FilterFields({ chat }: { chat: Desk }) {
  const [groups, setGroups] = useState<Group[]>([]);
  const [agents, setAgents] = useState<Agent[]>([]);
  useEffect(() => {
    // Without these lists the other filters still work.
    chat.api.groups().then(
      (page) => setGroups(page.data),
      () => undefined,
    );
    chat.api.agents().then(
      (page) => setAgents(page.data),
      () => undefined,
    );
  }, []);
  const { state, group, agent, tag, from, to } = filters.value;
  const set = (change: Partial<Filters>) => (filters.value = { ...filters.value, ...change });
  const count = Object.values(filters.value).filter(Boolean).length;
  return (
    <details class="filters">
      <summary>
        {d('filters')}
        {count > 0 && <span class="count">{count}</span>}
      </summary>
      <div class="filter-fields">
        <Choice
          name={d('state')}
          value={state}
          any={d('any')}
          options={sessionStates.map((each) => [each, d(each)])}
          set={(value) => set({ state: value })}
        />
        <Choice
          name={d('group')}
          value={group}
          any={d('any')}
          options={groups.map(({ name }) => [name, name])}
          set={(value) => set({ group: value })}
        />
        <Choice
          name={d('agent')}
          value={agent}
          any={d('any')}
          options={agents.map((each) => [each.id, nameOf(each)])}
          set={(value) => set({ agent: value })}
        />
        <label>
          {d('tag')}
          <input
            class="field"
            value={tag}
            maxLength={100}
            onInput={(event) => set({ tag: event.currentTarget.value })}
          />
        </label>
        <label>
          {d('openedFrom')}
          <input
            class="field"
            type="date"
            value={from}
            max={to}
            onInput={(event) => set({ from: event.currentTarget.value })}
          />
        </label>
        <label>
          {d('openedTo')}
          <input
            class="field"
            type="date"
            value={to}
            min={from}
            onInput={(event) => set({ to: event.currentTarget.value })}
          />
        </label>
        <button class="secondary slim" disabled={count === 0} onClick={() => (filters.value = none)}>
          {d('clearFilters')}
        </button>
      </div>
    </details>
  );
}

interface ChoiceProps {
  name: string;
  value: string;
  any: string;
  options: readonly (readonly [value: string, name: string])[];
  set(value: string): void;
}

function Choice({ name, value, any, options, set }: ChoiceProps) {
  return (
    <label>
      {name}
      <select class="field" value={value} onChange={(event) => set(event.currentTarget.value)}>
        <option value="">{any}</option>
        {options.map(([each, title]) => (
          <option key={each} value={each}>
            {title}
          </option>
        ))}
      </select>
    </label>
  );
}
