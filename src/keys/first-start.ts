/** What exists before anyone calls: the two built-in keyspaces and a root key. */

import type { Actor } from '../domain/event.ts';
import { builtInKeyspaces, type Keyspace } from '../domain/keyspace.ts';
import { RESERVED_KEYSPACE } from '../domain/permissions.ts';
import { mintToken } from '../domain/token.ts';
import type { KeyFilter, KeyPosition } from '../storage/key-store.ts';
import { addKeyFor } from './create.ts';
import { addKeyspace } from './keyspaces.ts';
import type { Parts } from './parts.ts';

const SYSTEM: Actor = { id: 'system' };
const ROOT_NAME = 'root';
const PAGE = 1000;

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
  const existing = new Set((await parts.store.listKeyspaces()).map((one) => one.id));
  for (const keyspace of builtInKeyspaces(parts.now())) {
    if (!existing.has(keyspace.id)) await addKeyspace(parts, keyspace, SYSTEM);
  }
}

/**
 * Sees to a root key: adds the one of the settings where the store does not know it, or generates one on the first
 * start. A known one is left as it is, revoked or not.
 *
 * @param setting GATEHOUSE_ROOT_KEY.
 */
export async function ensureRoot(parts: Parts, setting: string | undefined): Promise<RootReport> {
  const keyspace = (await parts.verifier.directory(true)).get(RESERVED_KEYSPACE);
  if (keyspace === undefined) throw new Error('the reserved keyspace is missing');

  let generated: string | undefined;
  let settingRevoked = false;
  if (setting !== undefined) {
    const known = await parts.verifier.match(setting, true);
    if (known === undefined) await addRoot(parts, keyspace, setting);
    else settingRevoked = known.key.revokeTime !== undefined;
  } else if (await isFirstStart(parts)) {
    generated = mintToken(keyspace);
    await addRoot(parts, keyspace, generated);
  }
  return { generated, settingRevoked, live: await countLiveRoots(parts) };
}

async function addRoot(parts: Parts, keyspace: Keyspace, token: string): Promise<void> {
  const plan = {
    name: ROOT_NAME,
    createTime: parts.now(),
    permissions: ['*'],
    metadata: {},
    allowedCidrs: [],
  };
  const key = await addKeyFor(parts, keyspace, token, plan, SYSTEM);
  if (key === undefined) throw new Error('the root key could not be added');
}

/** Whether no management key was ever made here. */
async function isFirstStart(parts: Parts): Promise<boolean> {
  return (await parts.store.countKeys({ keyspaces: [RESERVED_KEYSPACE] }, parts.now())).total === 0;
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
