/** What exists before anyone calls: the two built-in keyspaces and a root key. */

import { setTimeout } from 'node:timers/promises';
import { changeRegistry } from '../coherence/registry.ts';
import type { Actor } from '../domain/event.ts';
import type { Key } from '../domain/key.ts';
import { builtInKeyspaces, type Keyspace } from '../domain/keyspace.ts';
import { RESERVED_KEYSPACE } from '../domain/permissions.ts';
import { mintToken, randomText } from '../domain/token.ts';
import type { KeyFilter, KeyPosition } from '../storage/key-store.ts';
import { addKeyFor } from './create.ts';
import { addKeyspace } from './keyspaces.ts';
import type { Parts } from './parts.ts';
import { patiently } from './patiently.ts';

const SYSTEM: Actor = { id: 'system' };
const ROOT_NAME = 'root';
const PAGE = 1000;
const MAX_ATTEMPTS = 3;
/** How long the process that claimed the first root key may take to make it. */
const CLAIM_MS = 5000;
const POLL_MS = 100;

/** What a start found out about root keys. */
export interface RootReport {
  /** The token, only where this start generated one: to be printed once. */
  readonly generated: string | undefined;
  /** Whether the settings name a root key that was revoked: it stays so. */
  readonly settingRevoked: boolean;
  /** Management keys that hold `*` and can be used now. */
  readonly live: number;
}

/** Adds those of the built-in keyspaces that are not there. */
export async function ensureKeyspaces(parts: Pick<Parts, 'store' | 'changes' | 'now'>): Promise<void> {
  for (const keyspace of builtInKeyspaces(parts.now())) {
    if (await isThere(parts, keyspace.id)) continue;
    try {
      await addKeyspace(parts, keyspace, SYSTEM);
    } catch (error) {
      // Another process that starts as well may have been first.
      if (!(await isThere(parts, keyspace.id))) throw error;
    }
  }
}

async function isThere({ store }: Pick<Parts, 'store'>, id: string): Promise<boolean> {
  return (await store.listKeyspaces()).some((one) => one.id === id);
}

/**
 * Sees to a root key: adds the one of the settings where the store does not know it, or generates one on the first
 * start. A known one is left as it is, revoked or not.
 *
 * @param setting GATEHOUSE_ROOT_KEY.
 */
export async function ensureRoot(parts: Parts, setting: string | undefined): Promise<RootReport> {
  const keyspace = (await patiently(() => parts.verifier.directory(true))).get(RESERVED_KEYSPACE);
  if (keyspace === undefined) throw new Error('the reserved keyspace is missing');
  // With the same token each time: a write that was not answered may have been done.
  const ensure = (token: string) => patiently(() => ensureRootOf(parts, keyspace, token));

  let generated: string | undefined;
  let settingRevoked = false;
  if (setting !== undefined) {
    settingRevoked = (await ensure(setting)).revokeTime !== undefined;
  } else if (await patiently(() => mayMakeFirstRoot(parts))) {
    generated = mintToken(keyspace);
    await ensure(generated);
  }
  return { generated, settingRevoked, live: await patiently(() => countLiveRoots(parts)) };
}

/** The key that the token opens, added where there is none. */
async function ensureRootOf(parts: Parts, keyspace: Keyspace, token: string): Promise<Key> {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const known = await parts.verifier.match(token, true);
    if (known !== undefined) return known.key;
    // A process that died between the two, or is just there, has written the secret: one with its key is the same root.
    const { lookup } = await parts.secrets.seal(keyspace, token);
    const secret = await parts.store.findSecret(keyspace.id, lookup);
    const identity = secret === undefined ? undefined : { id: secret.keyId, generation: secret.generation };
    const plan = {
      name: ROOT_NAME,
      createTime: parts.now(),
      permissions: ['*'],
      metadata: {},
      allowedCidrs: [],
    };
    const added = await addKeyFor(parts, keyspace, token, plan, SYSTEM, identity);
    if (added !== undefined) return added;
  }
  throw new Error('the root key could not be added');
}

/**
 * Whether this process is the one that makes the first root key. Of several that start at once one claims it; should
 * that one die before the key is there, the others see none come and one of them takes over.
 */
async function mayMakeFirstRoot(parts: Parts): Promise<boolean> {
  if (await hasManagementKeys(parts)) return false;
  const { firstRootClaim: claimed } = await parts.store.readRegistry();
  if (claimed !== undefined && (await managementKeysAppear(parts))) return false;
  const mine = randomText('base62', 16);
  await changeRegistry(parts.store, ({ firstRootClaim }) =>
    firstRootClaim === claimed ? { firstRootClaim: mine } : undefined,
  );
  if ((await parts.store.readRegistry()).firstRootClaim === mine) return true;
  return (await managementKeysAppear(parts)) ? false : mayMakeFirstRoot(parts);
}

async function managementKeysAppear(parts: Parts): Promise<boolean> {
  for (let waited = 0; waited < CLAIM_MS; waited += POLL_MS) {
    if (await hasManagementKeys(parts)) return true;
    await setTimeout(POLL_MS);
  }
  return hasManagementKeys(parts);
}

/** Whether a management key was ever made here. */
async function hasManagementKeys({ store, now }: Parts): Promise<boolean> {
  return (
    (await store.listKeys({ filter: { keyspaces: [RESERVED_KEYSPACE] }, limit: 1, now: now() })).length > 0
  );
}

/** How many management keys hold everything and can be used now. */
async function countLiveRoots(parts: Parts): Promise<number> {
  const filter: KeyFilter = { keyspaces: [RESERVED_KEYSPACE], states: ['active'] };
  let live = 0;
  let after: KeyPosition | undefined;
  for (;;) {
    const page = { filter, limit: PAGE, now: parts.now(), ...(after === undefined ? {} : { after }) };
    const keys = (await parts.store.listKeys(page)).map((listed) => listed.key);
    live += keys.filter((key) => key.permissions.includes('*')).length;
    after = keys.at(-1);
    if (after === undefined || keys.length < PAGE) return live;
  }
}
