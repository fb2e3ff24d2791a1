/**
 * Marks the records of keys whose generation has ended. Those keys are dead from the one write on that ended it; marking
 * only makes their records say so, for the audit trail and so that listings need not look further.
 */

import { setImmediate } from 'node:timers/promises';
import { endOf, type Generations, generationOf, type Revocation } from '../domain/generation.ts';
import type { Key } from '../domain/key.ts';
import type { Keyspace } from '../domain/keyspace.ts';
import type { OwnerRecord } from '../domain/owner.ts';
import { revokedBy } from '../domain/standing.ts';
import type { GenerationRecord, KeyFilter, KeyPosition, KeyStore } from '../storage/key-store.ts';
import type { Changes } from './changes.ts';

/** Keys that are marked at one time; between two such chunks other calls have their turn. */
const CHUNK = 10;
/** Owners that one sweep looks at. */
const BATCH = 100;
const INTERVAL_MS = 1000;
/** A record that was first seen waiting so long ago was left by a process that died, or lost its store. Milliseconds. */
const GRACE_MS = 60_000;

/** A record that may have dead keys which are not marked. */
interface Target {
  readonly record: GenerationRecord;
  readonly generations: Generations;
  readonly filter: KeyFilter;
  readonly generationOfKey: (key: Key) => number | undefined;
}

export class Marking {
  readonly #store: KeyStore;
  readonly #changes: Changes;
  readonly #now: () => number;
  readonly #onError: (error: unknown) => void;
  /** What is being marked here, by kind and id. */
  readonly #running = new Map<string, Promise<void>>();
  /** When each waiting generation was first seen: by this process's own clock, since another's may be off by hours. */
  #seen = new Map<string, number>();
  #sweeping: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  /** @param onError told when some keys could not be marked; a later sweep tries again. */
  constructor(parts: {
    readonly store: KeyStore;
    readonly changes: Changes;
    readonly now: () => number;
    readonly onError: (error: unknown) => void;
  }) {
    this.#store = parts.store;
    this.#changes = parts.changes;
    this.#now = parts.now;
    this.#onError = parts.onError;
  }

  /** Marks in the background the dead keys of an owner whose generation has just ended. */
  ofOwner(owner: OwnerRecord): void {
    void this.#begin(ownersKeys(owner));
  }

  /** Marks in the background the dead keys of a keyspace whose generation has just ended. */
  ofKeyspace(keyspace: Keyspace): void {
    void this.#begin(keyspacesKeys(keyspace));
  }

  /** Marks what other processes have left, one record after another. Several processes may be at the same one. */
  async sweep(): Promise<void> {
    const now = this.#now();
    const before = this.#seen;
    const targets = [
      ...(await this.#store.listUnmarkedOwners(BATCH)).map(ownersKeys),
      ...(await this.#store.listKeyspaces()).filter(({ unmarked }) => unmarked).map(keyspacesKeys),
    ];
    this.#seen = new Map(targets.map((one) => [generationName(one), before.get(generationName(one)) ?? now]));
    for (const target of targets) {
      const seen = this.#seen.get(generationName(target)) ?? now;
      if (now - seen < GRACE_MS || this.#running.has(nameOf(target))) continue;
      await this.#begin(target);
      if (this.#stopped) return;
    }
  }

  /** Sweeps every second until stopped. */
  watch(): void {
    this.#timer = setInterval(() => {
      // A store that is slow to fail must not leave a queue of sweeps behind.
      this.#sweeping ??= this.sweep()
        .catch(this.#onError)
        .finally(() => {
          this.#sweeping = undefined;
        });
    }, INTERVAL_MS);
    this.#timer.unref();
  }

  /** Resolves when nothing is being marked. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running.values());
  }

  /** Ends after the chunk that is under way; the rest is for the next start, or for another process. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    await this.#sweeping;
    await this.settled();
  }

  /** One after another for each record: what ended a generation meanwhile has its own turn behind. */
  #begin(target: Target): Promise<void> {
    const name = nameOf(target);
    const before = this.#running.get(name) ?? Promise.resolve();
    const turn = before.then(() => this.#mark(target)).catch(this.#onError);
    const ended = turn.finally(() => {
      if (this.#running.get(name) === ended) this.#running.delete(name);
    });
    this.#running.set(name, ended);
    return ended;
  }

  async #mark({ record, generations, filter, generationOfKey }: Target): Promise<void> {
    const unmarked: KeyFilter = { ...filter, states: ['active', 'disabled', 'expired'] };
    let after: KeyPosition | undefined;
    do {
      // What nobody can be told of would only pile up as events to publish.
      if (this.#stopped || !this.#changes.reachable) return;
      const page = {
        filter: unmarked,
        limit: CHUNK,
        now: this.#now(),
        ...(after === undefined ? {} : { after }),
      };
      const keys = (await this.#store.listKeys(page)).map(({ key }) => key);
      await Promise.all(
        keys.map((key) => {
          const end = endOf(generations, generationOfKey(key));
          return end === undefined ? undefined : markRevoked(this.#changes, key.id, end);
        }),
      );
      after = keys.length < CHUNK ? undefined : keys.at(-1);
      await setImmediate();
    } while (after !== undefined);
    await this.#store.finishMarking(record, generationOf(generations));
  }
}

function ownersKeys(owner: OwnerRecord): Target {
  return {
    record: { kind: 'owner', id: owner.id },
    generations: owner,
    filter: { keyspaces: [owner.keyspace], owner: owner.owner },
    generationOfKey: (key) => key.ownerGeneration,
  };
}

function keyspacesKeys(keyspace: Keyspace): Target {
  return {
    record: { kind: 'keyspace', id: keyspace.id },
    generations: keyspace,
    filter: { keyspaces: [keyspace.id] },
    generationOfKey: (key) => key.keyspaceGeneration,
  };
}

function nameOf({ record }: Target): string {
  return `${record.kind} ${record.id}`;
}

function generationName(target: Target): string {
  return `${nameOf(target)} ${generationOf(target.generations)}`;
}

/** Makes a key's record say that a revocation of its whole generation revoked it, unless it says so of another. */
export async function markRevoked(changes: Changes, id: string, revocation: Revocation): Promise<void> {
  await changes.changeKey(id, (key) => (key.revokeTime === undefined ? revokedBy(key, revocation) : key), {
    action: 'key.revoke',
    actor: revocation.actor,
    changedFields: () => ['revoke_time', ...(revocation.reason === '' ? [] : ['revoke_reason'])],
    confirmation: 'unneeded',
    first: true,
    isMark: true,
  });
}
