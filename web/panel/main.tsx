import { render } from 'preact';
import '../shared/theme.css';
import '../shared/chat.css';
import './panel.css';
import { lang } from '../shared/i18n.ts';
import { useAccent } from '../shared/accent.ts';
import { App } from './app.tsx';
import { option } from './host.ts';
import { start } from './store.ts';
import { p } from './words.ts';

document.documentElement.lang = lang;
document.title = p('title');
useAccent(option('color'));
start();
render(<App />, document.getElementById('app')!);
