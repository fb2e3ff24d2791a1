/** A real service with three keyspaces, and short ways to make keys and callers in them. */

import { afterAll, beforeAll } from 'vitest';
import { callJson, type Gatehouse, type JsonAnswer, ROOT_KEY, startGatehouse } from './gatehouse.ts';

/** What a new keyspace must have besides its id and prefix. */
export const FORMAT = { alphabet: 'ALPHABET_BASE62', secretLength: 32, hash: 'HASH_ALGORITHM_SHA256' };

export const OWNER = { kind: 'user', id: 'alice' };

const KEYSPACES = [
  { ...FORMAT, id: 'shop', prefix: 'shop_', selfServiceCallers: ['SELF_SERVICE_CALLER_KEY'] },
  { ...FORMAT, id: 'plain', prefix: 'plain_' },
  {
    ...FORMAT,
    id: 'gated',
    prefix: 'gated_',
    selfServiceCallers: ['SELF_SERVICE_CALLER_KEY'],
    selfServicePermission: 'keys:manage',
    selfServiceMayOutlive: true,
    keyDefaults: { metadata: { plan: 'free' }, permissions: ['default:read'] },
  },
];

export interface Made {
  readonly id: string;
  readonly secret: string;
}

export interface Shop {
  readonly rootKey: string;
  /** A call by the holder of a token. */
  call(token: string, method: string, body: unknown): Promise<JsonAnswer>;
  root(method: string, body: unknown): Promise<JsonAnswer>;
  /** A new key. */
  make(keyspace: string, more?: object): Promise<Made>;
  /** A new management key. */
  manager(...permissions: string[]): Promise<Made>;
}

/**
 * A service for all tests of the file: `shop` has self-service, `plain` has none, `gated` asks its callers for a
 * permission.
 */
export function useShop(): Shop {
  let gatehouse: Gatehouse;
  const call = (key: string, method: string, body: unknown) => callJson(gatehouse, method, body, { key });
  const root = (method: string, body: unknown) => call(ROOT_KEY, method, body);
  const make = async (keyspace: string, more: object = {}) => {
    const { body } = await root('KeyService/CreateKey', { keyspace, name: 'test', ...more });
    if (body.key === undefined) throw new Error(`no key was made: ${body.message}`);
    return { id: body.key.id, secret: body.secret };
  };
  beforeAll(async () => {
    gatehouse = await startGatehouse();
    for (const keyspace of KEYSPACES) {
      const { body } = await root('KeyspaceService/CreateKeyspace', { keyspace });
      if (body.keyspace === undefined) throw new Error(`no keyspace was made: ${body.message}`);
    }
  });
  afterAll(() => gatehouse.remove());
  return {
    rootKey: ROOT_KEY,
    call,
    root,
    make,
    manager: (...permissions) => make('gatehouse', { permissions }),
  };
}
