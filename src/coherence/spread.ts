/** How a change becomes true everywhere. */

import { Failure } from '../domain/failure.ts';
import type { RecordName } from '../storage/cache/shared.ts';
import type { KeyStore } from '../storage/key-store.ts';
import type { ChangeFeed } from './feed.ts';

/** How far a change has spread when the call returns. */
export interface Propagation {
  /** Replicas that could answer from memory when the change was made. */
  readonly replicas: number;
  /** Those of them that have applied the change; the others have no right to answer from memory any more. */
  readonly acknowledged: number;
  /** From this moment (milliseconds since 1970) no answer anywhere rests on the older record. */
  readonly effectiveTime: number;
}

/** A record that was changed. */
export interface SpreadRecord {
  readonly name: RecordName;
  readonly keyspace: string;
  readonly revision: number;
  /** It only says now what an owner's or a keyspace's record has said before it: caches are told, watchers need not be. */
  readonly isMark?: boolean;
}

export interface Spread {
  /**
   * Resolves when no replica answers from older records.
   *
   * @throws Failure `unavailable` (PROPAGATION_UNCONFIRMED) where that cannot be told. What was written stays written.
   */
  confirm(records: readonly SpreadRecord[]): Promise<Propagation>;

  /** Tells the other replicas, and waits for none. @throws where they cannot be told. */
  tell(records: readonly SpreadRecord[]): Promise<void>;

  /** Whether a change can be confirmed at this moment, as far as is known. */
  readonly reachable: boolean;
}

/** Where no other process has records in memory: the write itself has dropped this one's. */
export function spreadNowhere(replicas: number, now: () => number): Spread {
  return {
    reachable: true,
    confirm: async () => ({ replicas, acknowledged: replicas, effectiveTime: now() }),
    tell: async () => {},
  };
}

/** Where this process alone has records in memory, and some follow its changes. */
export function spreadHere(feed: ChangeFeed, now: () => number): Spread {
  const tell = (records: readonly SpreadRecord[]) => {
    const time = now();
    feed.append(records.map(({ name, ...change }) => ({ ...change, record: name, time })));
  };
  const nowhere = spreadNowhere(1, now);
  return {
    reachable: true,
    async confirm(records) {
      tell(records);
      return nowhere.confirm(records);
    },
    async tell(records) {
      tell(records);
    },
  };
}

/**
 * Where all replicas read the store for each answer, since nobody would tell them of a change. One that shares a Redis with
 * others may have been started meanwhile: those have copies, which only they themselves can take back (see pending.ts).
 */
export function spreadAmongBlind(store: Pick<KeyStore, 'readRegistry'>, now: () => number): Spread {
  const tell = async () => {
    const { domain } = await store.readRegistry();
    if (domain !== undefined) throw new Error('other replicas share a Redis, and this one has none');
  };
  return {
    reachable: true,
    async confirm() {
      await tell().catch((error: unknown) => {
        throw unconfirmed(error);
      });
      return { replicas: 0, acknowledged: 0, effectiveTime: now() };
    },
    tell,
  };
}

export function isUnconfirmed(error: unknown): boolean {
  return error instanceof Failure && error.reason === 'PROPAGATION_UNCONFIRMED';
}

/** The change is recorded, and will apply, but not every replica is known to have it. */
export function unconfirmed(cause: unknown): Failure {
  return new Failure(
    'unavailable',
    'PROPAGATION_UNCONFIRMED',
    'the change is recorded and applies by itself as soon as the replicas can be told, but not every one is known to have it yet; a repeated call has it confirmed: look at the record first, and leave out expected_revision, expected_count and not_before',
    { retryAfterMs: 1000, cause },
  );
}
