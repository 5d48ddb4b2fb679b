import fc from 'fast-check';
import t from 'tap';
import { addAnyWords, addWords, marksOf, queryWords } from '../../src/core/search-words.ts';

function wordsOf(text: string): Set<string> {
  const words = new Set<string>();
  addWords(text, words);
  return words;
}

const isFound = (text: string, query: string): boolean => {
  const words = wordsOf(text);
  return queryWords(query).every((word) => words.has(word));
};

const han = fc.constantFrom(...'我要退货订单号码颜色尺码蓝色有吗亲您好发快递');
const latin = fc.stringMatching(/^[a-z0-9]{1,8}$/);
const piece = fc.oneof(
  fc.array(han, { minLength: 1, maxLength: 8 }).map((all) => all.join('')),
  latin,
  fc.constantFrom(' ', ', ', '。', '!', '\n'),
);

t.test('every part of a Chinese text, and every word, is found by it', (t) => {
  fc.assert(
    fc.property(
      fc.array(piece, { minLength: 1, maxLength: 12 }),
      fc.nat(),
      fc.nat(),
      (pieces, from, length) => {
        const text = pieces.join(' ');
        const one = pieces[from % pieces.length]!;
        const part = /^[a-z0-9]+$/.test(one) ? one : [...one].slice(0, 1 + (length % one.length)).join('');
        t.ok(isFound(text, part), `${part} in ${text}`);
        for (const [start, end] of marksOf(text, part)) t.equal(text.slice(start, end), part);
      },
    ),
  );
  t.end();
});

t.test('the short way finds the same words as the rules of Unicode', (t) => {
  const strange = fc.constantFrom(
    ...'éÅＡ１ｂアひ한한ﬁ①µ‐–·\u0301\u200d²㎏𠮷😀، ß',
    '“',
    '，',
    '。',
    '！',
    '…',
    '—',
    '\u3000',
  );
  const mixed = fc.array(fc.oneof(piece, piece, strange, fc.string(), fc.constant('A'.repeat(50))), {
    maxLength: 8,
  });
  fc.assert(
    fc.property(mixed, (pieces) => {
      const text = pieces.join('');
      const [short, long] = [new Set<string>(), new Set<string>()];
      addWords(text, short);
      addAnyWords(text, long);
      t.strictSame([...short].sort(), [...long].sort(), text);
    }),
    { numRuns: 3000 },
  );
  // Every unit by itself, and between letters: a table that is wrong for one of them is found.
  for (let unit = 0; unit < 0x10000; unit += 1) {
    if (unit >= 0xd800 && unit < 0xe000) continue;
    const text = `a${String.fromCharCode(unit)}中`;
    const [short, long] = [new Set<string>(), new Set<string>()];
    addWords(text, short);
    addAnyWords(text, long);
    if ([...short].join(' ') !== [...long].join(' '))
      t.fail(`U+${unit.toString(16)}: ${[...short].join(' ')}, ${[...long].join(' ')}`);
  }
  t.end();
});

t.test('against a naive look through texts', (t) => {
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 12 }),
      fc.array(han, { minLength: 2, maxLength: 2 }),
      (pieces, two) => {
        const text = pieces.join(' ');
        t.equal(isFound(text, two.join('')), text.includes(two.join('')), text);
      },
    ),
  );
  t.end();
});

t.test('case, width and mixed scripts do not matter; words are whole', (t) => {
  t.ok(isFound('My Order ＡＢ１２３ is LATE', 'ab123 order'));
  t.ok(isFound('买iPhone15好吗', 'iphone15'));
  for (const part of ['天内', '可以', '保护', '24', '小时', '7'])
    t.ok(isFound('7天内可以走价格保护，审核要24小时', part), part);
  t.notOk(isFound('reorder', 'order'));
  t.same(queryWords('  …！ '), []);
  t.same(marksOf('An ORDER, no reorder; 订单 order', 'order 订单'), [
    [3, 8],
    [22, 24],
    [25, 30],
  ]);
  t.same(marksOf('ﬁne', 'fine'), [[0, 3]]);
  t.end();
});
