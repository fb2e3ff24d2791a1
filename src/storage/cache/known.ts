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
  readonly key: { readonly name: string; readonly copy: Copy<Key> };
  readonly owner: { readonly name: string; readonly copy: Copy<KnownOwner> } | undefined;
  readonly keyspaces: Copy<readonly Keyspace[]>;
  /** By `performance.now()`: when the first of the copies is too old. */
  readonly until: number;
}

export class MemoryRecords implements KnownRecords {
  readonly #caches: Caches;
  readonly #mayAnswer: () => boolean;
  #now = 0;
  #lastSecret: Copy<Secret> | undefined;

  constructor(caches: Caches, mayAnswer: () => boolean) {
    this.#caches = caches;
    this.#mayAnswer = mayAnswer;
  }

  begin(): boolean {
    this.#now = performance.now();
    return this.#mayAnswer();
  }

  keyspaces(): readonly Keyspace[] | undefined {
    return this.#caches.keyspaces.look(ALL, this.#now) ?? undefined;
  }

  secret(keyspace: string, lookup: string): Secret | null | undefined {
    const copy = this.#caches.secrets.lookForCopy(secretName(keyspace, lookup), this.#now);
    this.#lastSecret = copy ?? undefined;
    return copy == null ? copy : copy.value;
  }

  key(id: string): Key | null | undefined {
    return this.#caches.keys.look(`key:${id}`, this.#now);
  }

  owner(id: string): OwnerRecord | null | undefined {
    const known = this.#caches.owners.look(`owner:${id}`, this.#now);
    return known === undefined ? undefined : (known?.record ?? null);
  }

  kept(): object | undefined {
    const { keys, owners, keyspaces } = this.#caches;
    const kept = this.#lastSecret?.kept as Kept | undefined;
    if (kept === undefined || this.#now >= kept.until) return undefined;
    if (keys.copyOf(kept.key.name) !== kept.key.copy || keyspaces.copyOf(ALL) !== kept.keyspaces)
      return undefined;
    if (kept.owner !== undefined) {
      if (owners.copyOf(kept.owner.name) !== kept.owner.copy) return undefined;
      owners.hits++;
    }
    keys.hits++;
    return kept.what;
  }

  keep({ keyspace, lookup, keyId }: Secret, ownerId: string | undefined, what: object): void {
    const { secrets, keys, owners, keyspaces } = this.#caches;
    const [key, owner] = [`key:${keyId}`, ownerId && `owner:${ownerId}`];
    const secretCopy = secrets.copyOf(secretName(keyspace, lookup));
    const keyCopy = keys.copyOf(key);
    const ownerCopy = owner === undefined ? undefined : owners.copyOf(owner);
    const list = keyspaces.copyOf(ALL);
    if (secretCopy === undefined || keyCopy === undefined || list === undefined) return;
    if (owner !== undefined && ownerCopy === undefined) return;
    secretCopy.kept = {
      what,
      key: { name: key, copy: keyCopy },
      owner: owner !== undefined && ownerCopy !== undefined ? { name: owner, copy: ownerCopy } : undefined,
      keyspaces: list,
      until: Math.min(
        secrets.freshUntil(secretCopy),
        keys.freshUntil(keyCopy),
        ownerCopy === undefined ? Number.POSITIVE_INFINITY : owners.freshUntil(ownerCopy),
        keyspaces.freshUntil(list),
      ),
    } satisfies Kept;
  }
}
