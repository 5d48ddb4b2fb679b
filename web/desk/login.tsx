import { useState } from 'preact/hooks';
import { Refused } from '../shared/protocol.ts';
import { errorText } from '../shared/words.ts';
import { login, signedOut } from './store.ts';
import { d } from './words.ts';

export function Login() {
  const [email, setEmail] = useState('');
  const [password, setPassword] = useState('');
  const [problem, setProblem] = useState('');
  const [busy, setBusy] = useState(false);
  const submit = async () => {
    setBusy(true);
    setProblem('');
    try {
      await login(email.trim(), password);
    } catch (error) {
      const code = error instanceof Refused ? error.code : 'other';
      setProblem(code === 'bad_credentials' ? d('badCredentials') : errorText(code));
      setBusy(false);
    }
  };
  return (
    <main class="login">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <span class="mark">kefu</span>
        <h1>{d('welcome')}</h1>
        {signedOut.value && !problem && <p role="status">{d('signedOut')}</p>}
        <label>
          {d('email')}
          <input
            class="field"
            type="email"
            name="email"
            autocomplete="username"
            required
            autofocus
            value={email}
            onInput={(event) => setEmail(event.currentTarget.value)}
          />
        </label>
        <label>
          {d('password')}
          <input
            class="field"
            type="password"
            name="password"
            autocomplete="current-password"
            required
            value={password}
            onInput={(event) => setPassword(event.currentTarget.value)}
          />
        </label>
        {problem && (
          <p class="problem" role="alert">
            {problem}
          </p>
        )}
        <button class="primary" disabled={busy}>
          {d('signIn')}
        </button>
      </form>
    </main>
  );
}
