import { readFileSync, writeFileSync } from 'node:fs';
import { keyTables } from '../src/config/help.ts';

/** Writes the tables of docs/configuration.md anew from the keys. */
const page = new URL('../docs/configuration.md', import.meta.url);
const [head = ''] = readFileSync(page, 'utf8').split('## Flags', 1);
writeFileSync(page, head + keyTables());
