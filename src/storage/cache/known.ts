/** Records in memory for a pass that waits for nothing (see ../known.ts). */

import type { Key, Secret } from '../../domain/key.ts';
import type { Keyspace } from '../../domain/keyspace.ts';
import type { OwnerRecord } from '../../domain/owner.ts';
import type { KnownRecords } from '../known.ts';
import { ALL, type KnownOwner, secretName } from './names.ts';
import type { Copy, RecordCache } from './records.ts';

interface Caches {
  readonly secrets: RecordCache<Secret>;
  readonly keys: RecordCache<Key>;
  readonly owners: RecordCache<KnownOwner>;
  readonly keyspaces: RecordCache<readonly Keyspace[]>;
}

/** What was made from records, and the very copies of them. */
interface Kept {
  readonly what: object;
  readonly secret: Copy<Secret>;
  readonly key: Copy<Key>;
  readonly owner: Copy<KnownOwner> | undefined;
  readonly keyspaces: Copy<readonly Keyspace[]>;
  /** By `performance.now()`: when the first of the copies is too old. */
  readonly until: number;
  uses: number;
}

/** Uses of what was kept from one to the next that is noted as a use of its records. */
const TOUCH_EVERY = 20;

export class MemoryRecords implements KnownRecords {
  readonly #caches: Caches;
  readonly #mayAnswer: () => boolean;
  #now = 0;
  #list: Copy<readonly Keyspace[]> | undefined;
  readonly #kept = new WeakMap<object, Kept>();

  constructor(caches: Caches, mayAnswer: () => boolean) {
    this.#caches = caches;
    this.#mayAnswer = mayAnswer;
  }

  begin(): boolean {
    this.#now = performance.now();
    return this.#mayAnswer();
  }

  keyspaces(): readonly Keyspace[] | undefined {
    const { keyspaces } = this.#caches;
    const list = this.#list;
    // Every judgement asks for the one copy that there is.
    if (list !== undefined && !list.isGone && this.#now < keyspaces.freshUntil(list)) {
      keyspaces.hits++;
      return list.value;
    }
    const all = keyspaces.look(ALL, this.#now) ?? undefined;
    this.#list = keyspaces.peekCopy(ALL);
    return all;
  }

  secret(keyspace: string, lookup: string): Secret | null | undefined {
    return this.#caches.secrets.look(secretName(keyspace, lookup), this.#now);
  }

  key(id: string): Key | null | undefined {
    return this.#caches.keys.look(`key:${id}`, this.#now);
  }

  owner(id: string): OwnerRecord | null | undefined {
    const known = this.#caches.owners.look(`owner:${id}`, this.#now);
    return known === undefined ? undefined : (known?.record ?? null);
  }

  kept(keyspace: string, lookup: string): object | undefined {
    const { secrets } = this.#caches;
    const name = secretName(keyspace, lookup);
    const kept = secrets.peekCopy(name)?.kept as Kept | undefined;
    return kept !== undefined && this.#holds(kept) ? kept.what : undefined;
  }

  holds(what: object): boolean {
    const kept = this.#kept.get(what);
    return kept !== undefined && this.#holds(kept);
  }

  // By the copies themselves: to look each of them up again would take as long as all the rest of a judgement.
  #holds(kept: Kept): boolean {
    const { secret, key, owner, keyspaces, until } = kept;
    if (this.#now >= until || secret.isGone || key.isGone || keyspaces.isGone) return false;
    const { secrets, keys, owners } = this.#caches;
    if (owner !== undefined) {
      if (owner.isGone) return false;
      owners.hits++;
    }
    secrets.hits++;
    keys.hits++;
    // Now and then is enough to be known as used, and costs a twentieth.
    if (kept.uses++ % TOUCH_EVERY === 0) this.#touch(kept);
    return true;
  }

  #touch({ secret, key, owner }: Kept): void {
    const { secrets, keys, owners } = this.#caches;
    secrets.copyOf(secret.key);
    keys.copyOf(key.key);
    if (owner !== undefined) owners.copyOf(owner.key);
  }

  keep({ keyspace, lookup, keyId }: Secret, ownerId: string | undefined, what: object): void {
    const { secrets, keys, owners, keyspaces } = this.#caches;
    const secret = secrets.peekCopy(secretName(keyspace, lookup));
    const key = keys.peekCopy(`key:${keyId}`);
    const owner = ownerId === undefined ? undefined : owners.peekCopy(`owner:${ownerId}`);
    const list = keyspaces.peekCopy(ALL);
    if (secret === undefined || key === undefined || list === undefined) return;
    if (ownerId !== undefined && owner === undefined) return;
    const kept: Kept = {
      what,
      secret,
      key,
      owner,
      keyspaces: list,
      until: Math.min(
        secrets.freshUntil(secret),
        keys.freshUntil(key),
        owner === undefined ? Number.POSITIVE_INFINITY : owners.freshUntil(owner),
        keyspaces.freshUntil(list),
      ),
      uses: 0,
    };
    secret.kept = kept;
    this.#kept.set(what, kept);
  }
}
