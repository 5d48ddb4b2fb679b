import { render } from 'preact';
import '../shared/theme.css';
import '../shared/login.css';
import './cluster.css';
import { lang } from '../shared/i18n.ts';
import { App } from './app.tsx';
import { start } from './store.ts';
import { c } from './words.ts';

document.documentElement.lang = lang;
document.title = c('title');
start();
render(<App />, document.getElementById('app')!);
