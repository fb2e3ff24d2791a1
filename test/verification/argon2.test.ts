import { describe, expect, test } from 'vitest';
import { Argon2 } from '../../src/verification/argon2.ts';

const LOCATOR = 'A'.repeat(16);

describe('Argon2id', () => {
  test('accepts the token that was hashed and no other with its locator, also once it is remembered', async () => {
    const argon2 = new Argon2();
    const phc = await argon2.hash(LOCATOR, 'user.secret');
    expect(phc).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
    expect(await argon2.matches(phc, LOCATOR, 'user.secret')).toBe(true);
    expect(await argon2.matches(phc, LOCATOR, 'user.secret')).toBe(true);
    expect(await argon2.matches(phc, LOCATOR, 'user.other')).toBe(false);
  });

  test('a thousand callers of one cold key do its work once', async () => {
    const argon2 = new Argon2();
    const phc = await argon2.hash(LOCATOR, 'user.secret');
    const answers = await Promise.all(
      Array.from({ length: 1000 }, () => argon2.matches(phc, LOCATOR, 'user.secret')),
    );
    expect(answers.every((answer) => answer)).toBe(true);
  });

  test('a flood of secrets for one locator sheds its own callers only, and passes', async () => {
    const argon2 = new Argon2();
    const flooded = await argon2.hash(LOCATOR, 'user.secret');
    const other = await argon2.hash('B'.repeat(16), 'user.other');
    const flood = Promise.allSettled(
      Array.from({ length: 50 }, (_, index) => argon2.matches(flooded, LOCATOR, `user.guess${index}`)),
    );
    expect(await argon2.matches(other, 'B'.repeat(16), 'user.other')).toBe(true);
    const settled = await flood;
    const shed = settled.filter((one) => one.status === 'rejected');
    expect(shed.length).toBeGreaterThan(40);
    for (const one of shed) expect(one.reason).toMatchObject({ kind: 'exhausted', reason: 'HASHING_BUSY' });
    expect(settled.some((one) => one.status === 'fulfilled' && one.value)).toBe(false);
    expect(await argon2.matches(flooded, LOCATOR, 'user.secret')).toBe(true);
  });

  test('work in all is bounded, however many locators are asked for', async () => {
    const argon2 = new Argon2();
    const phc = await argon2.hash(LOCATOR, 'user.secret');
    const flood = Array.from({ length: 200 }, (_, index) =>
      argon2.matches(phc, `locator${index}`, `guess${index}`),
    );
    const settled = await Promise.allSettled(flood);
    expect(settled.filter((one) => one.status === 'rejected').length).toBeGreaterThan(100);
  });
});
