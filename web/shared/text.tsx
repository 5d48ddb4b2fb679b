import type { ComponentChildren } from 'preact';

// Full-width punctuation ends an address too: Chinese sentences run on without a space.
const ADDRESS = /https?:\/\/[^\s<>"'，。；：！？（）、【】《》「」]+/gi;
const TRAILING = /[.,;:!?)\]}*_~]+$/;

/** Text with its http(s) addresses as links. Everything else stays a text node: what people write is never markup. */
export function Text({ text }: { text: string }) {
  const parts: ComponentChildren[] = [];
  let last = 0;
  for (const match of text.matchAll(ADDRESS)) {
    const address = match[0].replace(TRAILING, '');
    if (!isAddress(address)) continue;
    parts.push(text.slice(last, match.index));
    parts.push(
      <a href={address} target="_blank" rel="noopener noreferrer">
        {address}
      </a>,
    );
    last = match.index + address.length;
  }
  parts.push(text.slice(last));
  return <>{parts}</>;
}

export function isAddress(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : null;
  return url?.protocol === 'http:' || url?.protocol === 'https:';
}
