import { useState } from 'preact/hooks';
import { changed, type Chat } from '../shared/chat.ts';
import { Icon } from '../shared/icons.tsx';
import { Refused } from '../shared/protocol.ts';
import type { SessionModel } from '../shared/session-model.ts';
import { errorText } from '../shared/words.ts';
import { p } from './words.ts';

const scores = [1, 2, 3, 4, 5] as const;

export function Rating({ chat, model }: { chat: Chat; model: SessionModel }) {
  const [score, setScore] = useState<(typeof scores)[number] | 0>(0);
  const [hover, setHover] = useState(0);
  const [comment, setComment] = useState('');
  const [busy, setBusy] = useState(false);
  const [failed, setFailed] = useState('');

  if (model.rated !== null) {
    return (
      <p class="thanks" role="status">
        {p('thanks')}
      </p>
    );
  }
  const submit = async () => {
    setBusy(true);
    setFailed('');
    try {
      await chat.api.rate(model.id, score, comment.trim());
      model.rated = score;
    } catch (error) {
      // Rated before, perhaps in another tab: that is what was wanted.
      if (error instanceof Refused && error.code === 'conflict') model.rated = score;
      else setFailed(error instanceof Refused ? error.code : 'other');
    }
    setBusy(false);
    changed();
  };
  return (
    <form
      class="rating"
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      <fieldset>
        <legend>{p('rate')}</legend>
        <div class="stars" onMouseLeave={() => setHover(0)}>
          {scores.map((value) => (
            <label
              key={value}
              class={value <= (hover || score) ? 'lit' : ''}
              onMouseEnter={() => setHover(value)}
            >
              <input
                class="sr"
                type="radio"
                name="score"
                value={value}
                checked={score === value}
                onChange={() => setScore(value)}
              />
              <span class="sr">
                {p('stars', { n: value })}, {p(`star${value}`)}
              </span>
              <Icon name="star" size={30} fill={value <= (hover || score)} />
            </label>
          ))}
        </div>
        <p class="star-name" aria-hidden="true">
          {score ? p(`star${score}`) : '\u00a0'}
        </p>
      </fieldset>
      {score > 0 && (
        <>
          <textarea
            class="field"
            rows={2}
            maxLength={1000}
            value={comment}
            placeholder={p('comment')}
            aria-label={p('comment')}
            onInput={(event) => setComment(event.currentTarget.value)}
          />
          {failed && (
            <p class="failed" role="alert">
              {errorText(failed)}
            </p>
          )}
          <button class="primary" disabled={busy}>
            {p('submit')}
          </button>
        </>
      )}
    </form>
  );
}
