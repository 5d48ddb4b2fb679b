import { readFileSync, writeFileSync } from 'node:fs';
import { withKeyTables } from '../src/config/help.ts';

/** `npm run docs`: writes the tables of docs/configuration.md anew from the keys. */
const page = new URL('../docs/configuration.md', import.meta.url);
writeFileSync(page, withKeyTables(readFileSync(page, 'utf8')));
