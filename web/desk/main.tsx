import { render } from 'preact';
import '../shared/theme.css';
import '../shared/chat.css';
import '../shared/login.css';
import './desk.css';
import { lang } from '../shared/i18n.ts';
import { App } from './app.tsx';
import { listenToKeys } from './keys.ts';
import { start } from './store.ts';

document.documentElement.lang = lang;
start();
listenToKeys();
render(<App />, document.getElementById('app')!);
