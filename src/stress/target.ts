import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { StartError } from '../core/start-error.ts';

/** A node to load, with its name looked up once: a name server is not what is measured. */
export interface Node {
  /** As it was given, without a slash at its end. */
  readonly url: string;
  /** As the URL has it, for TLS and the header. */
  readonly name: string;
  /** Its address. */
  readonly host: string;
  readonly port: number;
  readonly isTls: boolean;
  /** On this machine. */
  readonly isLoopback: boolean;
  /** Can be connected to from many addresses of this machine. */
  readonly hasSources: boolean;
}

/** `http://a:8080,https://b` → nodes; rejects with StartErrors. */
export async function nodesOf(urls: string): Promise<Node[]> {
  return Promise.all(urls.split(',').map((text) => nodeOf(text.trim())));
}

async function nodeOf(text: string): Promise<Node> {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    throw new StartError(`--url: ${JSON.stringify(text)} is no URL like http://127.0.0.1:8080`);
  if (url.pathname !== '/' || url.search !== '')
    throw new StartError(`--url: ${text}: only the address of the server, without a path`);
  const isTls = url.protocol === 'https:';
  const name = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const address = isIP(name) === 0 ? await addressOf(name) : name;
  return {
    url: url.origin,
    name,
    host: address,
    port: Number(url.port === '' ? (isTls ? 443 : 80) : url.port),
    isTls,
    isLoopback: address.startsWith('127.') || address === '::1',
    hasSources: address.startsWith('127.'),
  };
}

async function addressOf(name: string): Promise<string> {
  try {
    const found = await lookup(name, { all: true });
    return (found.find(({ family }) => family === 4) ?? found[0]!).address;
  } catch (error) {
    throw new StartError(`--url: ${name} can’t be looked up (${(error as NodeJS.ErrnoException).code})`);
  }
}

/**
 * The source address of the n-th customer of a process: so many share one that no limit of the server by address is
 * met, neither when they come one by one nor when all come again at once. 127.0.x.y with an x of the process's own.
 */
export function sourceAddress(process: number, place: number): string {
  const y = place % 250;
  const x = Math.floor(place / 250) % blocksOfProcess;
  return `127.0.${1 + ((process * blocksOfProcess + x) % 250)}.${1 + y}`;
}

const blocksOfProcess = 8;
/** Below the server's burst of 100 connects and its 200 connections an address. */
export const customersOfAddress = 40;
