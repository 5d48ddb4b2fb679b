import type { ComponentChildren } from 'preact';

/** A text with the places that were looked for marked. Text nodes only: what people write is never markup. */
export function Marked({
  text,
  marks,
}: {
  text: string;
  marks: readonly (readonly [start: number, end: number])[];
}) {
  const parts: ComponentChildren[] = [];
  let last = 0;
  for (const [start, end] of marks.toSorted((a, b) => a[0] - b[0])) {
    // Two words of a search may overlap.
    const from = Math.max(start, last);
    if (from >= end) continue;
    parts.push(text.slice(last, from), <mark>{text.slice(from, end)}</mark>);
    last = end;
  }
  parts.push(text.slice(last));
  return <span class="hit-text">{parts}</span>;
}
