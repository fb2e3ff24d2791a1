import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { shown, shownJson } from '../../src/cli/escape.ts';
import { type Column, details, table } from '../../src/cli/table.ts';

const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/u;

describe('text from outside', () => {
  test.each([
    ['an escape sequence', 'a\u001b[2J', 'a\\u001b[2J'],
    ['an 8-bit escape', '\u009b31m', '\\u009b31m'],
    ['a line feed', 'a\nb', 'a\\u000ab'],
    ['a right-to-left override', '\u202etxt.exe', '\\u202etxt.exe'],
    ['an isolate', '\u2066x\u2069', '\\u2066x\\u2069'],
    ['a zero-width space', 'a\u200bb', 'a\\u200bb'],
    ['a tag character', '\u{e0041}', '\\udb40\\udc41'],
    ['a lone surrogate', '\ud800', '\\ud800'],
    ['a backslash', '\\u001b', '\\\\u001b'],
    ['letters of any script', 'Schlüssel 鍵 مفتاح 🔑', 'Schlüssel 鍵 مفتاح 🔑'],
  ])('is harmless where shown: %s', (_, text, expected) => {
    expect(shown(text)).toBe(expected);
  });

  test('never keeps an unsafe character, and no two texts look the same', () => {
    const text = fc.string({ unit: 'binary' });
    fc.assert(fc.property(text, (one) => !UNSAFE.test(shown(one))));
    fc.assert(fc.property(text, text, (a, b) => (shown(a) === shown(b)) === (a === b)));
  });

  test('is escaped in JSON, which means the same', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const json = shownJson({ [text]: [text] });
        expect(JSON.parse(json)).toEqual({ [text]: [text] });
        expect(UNSAFE.test(json.replaceAll('\n', ''))).toBe(false);
      }),
    );
  });
});

interface Row {
  id: string;
  name: string;
  owner: string;
}

const COLUMNS: Column<Row>[] = [
  { title: 'ID', text: (row) => row.id },
  { title: 'NAME', text: (row) => row.name, least: 6 },
  { title: 'OWNER', text: (row) => row.owner, optional: true },
];

describe('a table', () => {
  const rows = [
    { id: 'key_1', name: 'a name that is long', owner: '' },
    { id: 'key_22', name: 'b\u001b[1m', owner: '' },
  ];

  test('is plain text in columns, without those that are empty', () => {
    expect(table(COLUMNS, rows, undefined)).toBe(
      ['ID      NAME', 'key_1   a name that is long', 'key_22  b\\u001b[1m'].join('\n'),
    );
  });

  test('is cut to a narrow screen, but never in the id', () => {
    const lines = table(COLUMNS, rows, 16).split('\n');
    expect(lines).toEqual(['ID      NAME', 'key_1   a name …', 'key_22  b\\u001b…']);
  });

  test('keeps the least width of its columns on a screen that is too narrow', () => {
    expect(table(COLUMNS, rows, 3).split('\n')[1]).toBe('key_1   a nam…');
  });
});

test('details are never cut, whatever their length', () => {
  const secret = 'x'.repeat(500);
  expect(
    details([
      ['secret', secret],
      ['id', 'key_1'],
    ]),
  ).toBe(`secret  ${secret}\nid      key_1`);
});
