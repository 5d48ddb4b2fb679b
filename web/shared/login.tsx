import { useState } from 'preact/hooks';
import { translator, type Words } from './i18n.ts';
import { Refused } from './protocol.ts';
import { errorText } from './words.ts';

const words = {
  email: ['E-mail', '邮箱'],
  password: ['Password', '密码'],
  signIn: ['Sign in', '登录'],
  badCredentials: ['Wrong e-mail or password', '邮箱或密码不正确'],
  signedOut: ['You were signed out. Please sign in again.', '登录已失效，请重新登录。'],
} satisfies Words;

const w = translator(words);

export interface LoginProps {
  title: string;
  /** The last login has ended by itself. */
  signedOut: boolean;
  /** Rejects with a Refused. */
  login(email: string, password: string): Promise<void>;
}

export function Login({ title, signedOut, login }: LoginProps) {
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
      setProblem(code === 'bad_credentials' ? w('badCredentials') : errorText(code));
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
        <h1>{title}</h1>
        {signedOut && !problem && <p role="status">{w('signedOut')}</p>}
        <label>
          {w('email')}
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
          {w('password')}
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
          {w('signIn')}
        </button>
      </form>
    </main>
  );
}
