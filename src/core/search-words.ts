/**
 * Words as the search index has them: of Latin scripts words and numbers, of Chinese, Japanese and Korean each character
 * and each two that stand together, for these are written without spaces. Pure; the same for what is stored and what
 * is asked for.
 */

/** Characters of a word that count; the rest is cut off. */
export const wordCharsMax = 40;
/** Words of a search; more are left out. */
export const queryWordsMax = 16;

const runs =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]+|(?:(?![\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}])[\p{L}\p{N}\p{M}])+/gu;
const together = /^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/u;

function normal(text: string): string {
  return text.normalize('NFKC').toLowerCase();
}

/** Letters of one kind that stand together, in order. */
function runsOf(text: string): string[] {
  return normal(text).match(runs) ?? [];
}

/** Adds a text's words. */
export function addWords(text: string, words: Set<string>): void {
  if (!addPlainWords(text, words)) addAnyWords(text, words);
}

/** By the rules of Unicode; four times as slow as `addPlainWords`, and the same where that one knows its way. */
export function addAnyWords(text: string, words: Set<string>): void {
  for (const run of runsOf(text)) {
    if (!together.test(run)) words.add(run.length <= wordCharsMax ? run : firstOf(run));
    else if (surrogate.test(run)) addTogether([...run], words);
    // Of units as they are: nearly all that is written has no others, and an array of them would cost more than the rest.
    else addTogether(run, words);
  }
}

/** What a unit is: of a Latin word, a Chinese character, nothing of a word, or something for which the rules are needed. */
const kinds = { latin: 1, han: 2, other: 3, unknown: 0 } as const;
const kindOf = new Uint8Array(65_536);
const between = (first: number, last: number, kind: number): void => void kindOf.fill(kind, first, last + 1);
between(0x00, 0x7f, kinds.other);
for (const range of ['09', 'az', 'AZ']) between(range.charCodeAt(0), range.charCodeAt(1), kinds.latin);
between(0x4e00, 0x9fff, kinds.han);
// Punctuation of Chinese texts, as it is and in full width: whatever it is folded to is no letter either.
for (const mark of '\u3000、。〈〉《》「」『』【】“”‘’…—～！＂＃＄％＆＇（）＊＋，－．／：；＜＝＞？＠［＼］｛｜｝')
  between(mark.charCodeAt(0), mark.charCodeAt(0), kinds.other);

/** Of texts of Latin letters, digits and Chinese characters, as most are; false: there is something else in it. */
function addPlainWords(text: string, words: Set<string>): boolean {
  for (let at = 0; at < text.length; at += 1) if (kindOf[text.charCodeAt(at)] === kinds.unknown) return false;
  const folded = text.toLowerCase();
  let start = 0;
  let kind: number = kinds.other;
  for (let at = 0; at <= folded.length; at += 1) {
    const next = at === folded.length ? kinds.other : kindOf[folded.charCodeAt(at)]!;
    if (next === kind) continue;
    if (kind === kinds.latin) words.add(folded.slice(start, Math.min(at, start + wordCharsMax)));
    else if (kind === kinds.han) addTogether(folded.slice(start, at), words);
    kind = next;
    start = at;
  }
  return true;
}

const surrogate = /[\ud800-\udfff]/;

function addTogether(characters: string | readonly string[], words: Set<string>): void {
  for (let at = 0; at < characters.length; at += 1) {
    const character = characters[at]!;
    words.add(character);
    if (at + 1 < characters.length) words.add(character + characters[at + 1]!);
  }
}

function firstOf(run: string): string {
  return [...run].slice(0, wordCharsMax).join('');
}

/** The words that a session must have for this to be found; empty: there is nothing to search for. */
export function queryWords(query: string): string[] {
  const words = new Set<string>();
  for (const run of runsOf(query)) {
    const characters = [...run];
    if (!together.test(run)) words.add(firstOf(run));
    else if (characters.length === 1) words.add(run);
    else
      for (let at = 0; at + 1 < characters.length; at += 1) words.add(characters[at]! + characters[at + 1]!);
  }
  return [...words].slice(0, queryWordsMax);
}

export type Mark = readonly [start: number, end: number];

/** Where a text has the query's runs, in UTF-16 units, in order, at most `max`; a Latin run only as a whole word. */
export function marksOf(text: string, query: string, max = 20): Mark[] {
  // By character, so that what folding makes longer or shorter keeps its place.
  const places: number[] = [];
  let folded = '';
  let at = 0;
  for (const character of text) {
    const one = normal(character);
    folded += one;
    for (let unit = 0; unit < one.length; unit += 1) places.push(at);
    at += character.length;
  }
  places.push(at);
  const marks: Mark[] = [];
  for (const run of new Set(runsOf(query))) {
    const isWhole = !together.test(run);
    for (
      let from = folded.indexOf(run);
      from >= 0 && marks.length < max;
      from = folded.indexOf(run, from + run.length)
    ) {
      if (isWhole && (isLetter(folded, from - 1) || isLetter(folded, from + run.length))) continue;
      marks.push([places[from]!, endOf(places, from + run.length)]);
    }
  }
  return marks.sort((a, b) => a[0] - b[0]);
}

function endOf(places: readonly number[], at: number): number {
  return places[at] ?? places.at(-1)!;
}

function isLetter(text: string, at: number): boolean {
  const character = text[at];
  return character !== undefined && /[\p{L}\p{N}\p{M}]/u.test(character) && !together.test(character);
}
