import { durationFromMs, timestampFromMs } from '@bufbuild/protobuf/wkt';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  collectPair,
  parseOwner,
  parseSpan,
  parseTime,
  parseTimeout,
  spanText,
  timeText,
} from '../../src/cli/values.ts';

describe('a duration', () => {
  test.each([
    ['30d', 2_592_000_000],
    ['1h30m', 5_400_000],
    ['500ms', 500],
    ['1w', 604_800_000],
    ['0s', 0],
  ])('%s is read', (text, milliseconds) => {
    expect(parseSpan(text)).toBe(milliseconds);
  });

  test.each(['', '30', 'd', '-1d', '1.5h', '1 d', '30D', '1y'])('%j is refused', (text) => {
    expect(() => parseSpan(text)).toThrow('It must be a duration such as');
  });

  test('that is shown reads back as the same', () => {
    fc.assert(fc.property(fc.nat(2 ** 31), (ms) => parseSpan(spanText(durationFromMs(ms))) === ms));
  });

  test('as a wait is 1ms to 1d', () => {
    expect(parseTimeout('1ms')).toBe(1);
    expect(() => parseTimeout('0s')).toThrow('It must be 1ms to 1d.');
    expect(() => parseTimeout('25d')).toThrow('It must be 1ms to 1d.');
  });
});

describe('a time', () => {
  test.each([
    ['2027-01-01T00:00:00Z', '2027-01-01T00:00:00Z'],
    ['2027-01-01', '2027-01-01T00:00:00Z'],
    ['2027-01-01T00:00:00+02:00', '2026-12-31T22:00:00Z'],
    ['2028-02-29T12:30:15.250Z', '2028-02-29T12:30:15Z'],
  ])('%s is read', (text, utc) => {
    expect(timeText(parseTime(text))).toBe(utc);
  });

  test.each([
    '',
    'tomorrow',
    '2027',
    '2027-02-30',
    '2027-13-01',
    '2027-01-01T25:00:00Z',
    '2027-01-01T00:00:00',
    '1/1/2027',
  ])('%j is refused', (text) => {
    expect(() => parseTime(text)).toThrow('It must be a time such as');
  });

  test('that is shown to the second reads back as the same', () => {
    const seconds = fc.integer({ min: 0, max: 253_402_300_799 });
    fc.assert(
      fc.property(seconds, (one) => parseTime(timeText(timestampFromMs(one * 1000))).seconds === BigInt(one)),
    );
  });
});

test('an owner is split at its first colon', () => {
  expect(parseOwner('user:a:b')).toEqual({ kind: 'user', id: 'a:b' });
  for (const text of ['user', ':id', 'user:', ''])
    expect(() => parseOwner(text)).toThrow('It must be kind:id');
});

test('metadata is split at its first equals sign and collected', () => {
  expect(collectPair('b=2=3', collectPair('a='))).toEqual({ a: '', b: '2=3' });
  expect(() => collectPair('=x')).toThrow('It must be key=value.');
});
