/** A page token is of use only to who was given it, for what it was given for. */

import { describe, expect, test } from 'vitest';
import { OWNER, useShop } from '../support/shop.ts';

const { call, root, make, manager, rootKey } = useShop();

describe('a page token', () => {
  test('is of no use to another caller, with another filter, or when forged', async () => {
    for (let made = 0; made < 3; made++) await make('plain', { owner: OWNER });
    const page = { keyspace: 'plain', pageSize: 1 };
    const { nextPageToken } = (await root('KeyService/ListKeys', page)).body;
    const ask = async (by: string, more: object) =>
      (await call(by, 'KeyService/ListKeys', { ...page, ...more })).body.code;
    const reader = await manager('keys:read');
    expect(await ask(rootKey, { pageToken: nextPageToken })).toBeUndefined();
    expect(await ask(reader.secret, { pageToken: nextPageToken })).toBe('invalid_argument');
    expect(await ask(rootKey, { pageToken: nextPageToken, owner: OWNER })).toBe('invalid_argument');
    expect(await ask(rootKey, { pageToken: nextPageToken, keyspace: 'shop' })).toBe('invalid_argument');
    for (const forged of [
      `${nextPageToken}x`,
      `x${nextPageToken}`,
      'x',
      '.',
      nextPageToken.replace(/\..*/, '.'),
    ]) {
      expect(await ask(rootKey, { pageToken: forged })).toBe('invalid_argument');
    }
  });
});
