/**
 * The one way in which a record changes: read it, change it, write it by compare-and-set with its audit event inside, have
 * the change confirmed by all replicas, publish the event. No caller writes to the store or empties a cache by itself.
 *
 * The event is taken off the record only when the replicas were told: a record that still carries one is finished by
 * whichever process sees it (pending.ts).
 */

import { setTimeout } from 'node:timers/promises';
import type { Actor, AuditEvent, ChangeableRecord, EventAction } from '../domain/event.ts';
import { Failure } from '../domain/failure.ts';
import type { Key, Owner, Secret } from '../domain/key.ts';
import { answersOutlive, type Keyspace, olderAnswersUntil } from '../domain/keyspace.ts';
import { optional } from '../domain/optional.ts';
import { blankOwner, type OwnerRecord, ownerId } from '../domain/owner.ts';
import { randomText } from '../domain/token.ts';
import { recordName, secretName } from '../storage/cache/names.ts';
import type { KeyStore, UnpublishedRecord } from '../storage/key-store.ts';
import {
  isUnconfirmed,
  type Propagation,
  type Spread,
  type SpreadRecord,
  spreadNowhere,
  unconfirmed,
} from './spread.ts';
import { Turns } from './turns.ts';

export interface Changed<R> {
  readonly record: R;
  readonly propagation: Propagation;
  /** Why not all replicas are known to have it; only where that was but tried. */
  readonly unconfirmed?: unknown;
}

/** A new version of a record, or the record itself where there is nothing to change. */
export type Edit<R> = (record: R) => R;

export interface ChangeOptions<R> {
  readonly action: EventAction;
  readonly actor: Actor;
  /** Where set, the change is made to this revision or not at all (ABORTED). */
  readonly expectedRevision?: number;
  /** Names of the fields that differ, for the audit event. */
  readonly changedFields: (before: R, after: R) => readonly string[];
  /** Left out: `needed`. */
  readonly confirmation?: Confirmation;
  /** It takes something away, so it waits for no other change but the one that is under way. */
  readonly first?: boolean;
  /** It only says in one record what another one has said for it. */
  readonly isMark?: boolean;
}

/**
 * Whether a change is one only when all replicas confirmed it. `tried`: who made it is told why they did not, and decides.
 * `unneeded`: nothing is taken away that was not before, or the call fails anyway; the replicas are told, and not waited for.
 */
export type Confirmation = 'needed' | 'tried' | 'unneeded';

type Changeable = ChangeableRecord & {
  readonly updateTime: number;
  /** Absent: it is a keyspace. */
  readonly keyspace?: string;
  readonly owner?: Owner;
};

/**
 * Milliseconds that a change goes on against others. Only other processes can win here, and of n of them each round has
 * one winner: a flood of small changes through all of them must not keep a revocation from winning in the end.
 */
const PATIENCE_MS = 3000;
/** Milliseconds between two tries, at most; random, so that processes do not meet again and again. */
const MAX_PAUSE_MS = 20;

export class Changes {
  readonly #store: KeyStore;
  readonly #record: KeyStore;
  readonly #spread: Spread;
  readonly #now: () => number;
  readonly #onUnpublished: (error: unknown) => void;
  readonly #turns = new Turns();

  /**
   * @param store what changes are written through: it forgets what it has in memory.
   * @param onUnpublished told when an event stays pending; the sweep (pending.ts) publishes it later.
   * @param others absent: there is no other replica.
   * @param others.record the system of record itself, which changes begin from.
   */
  constructor(
    store: KeyStore,
    now: () => number,
    onUnpublished: (error: unknown) => void,
    others?: { readonly record: KeyStore; readonly spread: Spread },
  ) {
    this.#store = store;
    this.#now = now;
    this.#onUnpublished = onUnpublished;
    this.#record = others?.record ?? store;
    this.#spread = others?.spread ?? spreadNowhere(1, now);
  }

  /** Whether a change could be confirmed now, as far as is known. */
  get reachable(): boolean {
    return this.#spread.reachable;
  }

  /** Adds a key. @returns false where its id or its secret's lookup is taken. */
  async addKey(key: Key, secret: Secret, actor: Actor): Promise<boolean> {
    const event = this.#event('key.create', { kind: 'key', record: key }, actor, []);
    const added = await this.#store.insertKey({ ...key, pending: [event] }, secret);
    if (!added) return false;
    // Nobody can have asked for it yet; where somebody has by chance, he need not wait for negative_ttl.
    const { keyspace, revision } = key;
    const name = secretName(secret.keyspace, secret.lookup);
    void this.#spread.tell([{ name, keyspace, revision }]).catch(() => undefined);
    await this.#publish('key', key);
    return true;
  }

  /** Adds a keyspace. @returns false where its id is taken. */
  async addKeyspace(keyspace: Keyspace, actor: Actor): Promise<boolean> {
    const event = this.#event('keyspace.create', { kind: 'keyspace', record: keyspace }, actor, []);
    const added = await this.#store.insertKeyspace({ ...keyspace, pending: [event] });
    if (!added) return false;
    try {
      await this.#confirm('keyspace', keyspace);
      await this.#publish('keyspace', keyspace);
    } catch (error) {
      // It is there, and nothing was taken from anybody.
      this.#onUnpublished(error);
    }
    return true;
  }

  /**
   * Changes a key.
   *
   * @param edit is called on each attempt with the key as it is then; what it throws ends the change.
   * @returns undefined where there is no such key.
   * @throws Failure `conflict` where the revision moved on, or others kept winning; `exhausted` where too many changes of
   *   it wait.
   */
  async changeKey(
    id: string,
    edit: Edit<Key>,
    options: ChangeOptions<Key>,
  ): Promise<Changed<Key> | undefined> {
    return this.#change(
      { kind: 'key', id },
      () => this.#record.getKey(id),
      (next) => this.#store.replaceKey(next),
      edit,
      options,
    );
  }

  /** Changes a keyspace; as changeKey. */
  async changeKeyspace(
    id: string,
    edit: Edit<Keyspace>,
    options: ChangeOptions<Keyspace>,
  ): Promise<Changed<Keyspace> | undefined> {
    return this.#change(
      { kind: 'keyspace', id },
      async () => (await this.#record.listKeyspaces()).find((one) => one.id === id),
      (next) => this.#store.replaceKeyspace(next),
      (keyspace) => {
        const edited = edit(keyspace);
        if (edited === keyspace) return keyspace;
        // In the record, since that alone is seen by every process that will change something.
        return {
          ...edited,
          ...optional('olderAnswersUntil', olderAnswersUntil(keyspace, edited, this.#now())),
        };
      },
      options,
    );
  }

  /**
   * Changes an owner's record, and makes it where there is none; as changeKey.
   *
   * @param edit is given a blank record, at revision 0, where there is none.
   * @param options.expectedRevision 0: only where there is no record.
   */
  async changeOwner(
    keyspace: string,
    owner: Owner,
    edit: Edit<OwnerRecord>,
    options: ChangeOptions<OwnerRecord>,
  ): Promise<Changed<OwnerRecord>> {
    const id = ownerId(keyspace, owner);
    const changed = await this.#change(
      { kind: 'owner', id },
      async () => (await this.#record.getOwner(id)) ?? blankOwner(keyspace, owner, this.#now()),
      (next) => (next.revision === 1 ? this.#store.insertOwner(next) : this.#store.replaceOwner(next)),
      edit,
      options,
    );
    if (changed === undefined) throw new Error('an owner without a record has a blank one');
    return changed;
  }

  async #change<R extends Changeable>(
    target: UnpublishedRecord,
    read: () => Promise<R | undefined>,
    replace: (next: R) => Promise<boolean>,
    edit: Edit<R>,
    options: ChangeOptions<R>,
  ): Promise<Changed<R> | undefined> {
    const name = `${target.kind} ${target.id}`;
    const written = await this.#turns.take(name, options.first ?? false, async () => {
      const end = performance.now() + PATIENCE_MS;
      while (performance.now() < end) {
        const before = await read();
        if (before === undefined) return undefined;
        if (options.expectedRevision !== undefined && options.expectedRevision !== before.revision) {
          throw revisionMismatch(
            `the ${target.kind} is at revision ${before.revision}, not ${options.expectedRevision}`,
          );
        }
        const edited = edit(before);
        // Said once more as well: who was told that it could not be confirmed asks again.
        if (edited === before) return before;
        const next = this.#nextVersion(target.kind, before, edited, options);
        if (await replace(next)) return next;
        await setTimeout(Math.random() * MAX_PAUSE_MS);
      }
      throw revisionMismatch('others kept changing the record; try again');
    });
    return written && this.#finished(target.kind, written, options);
  }

  /** What follows the write, without keeping the next change of the record waiting. */
  async #finished<R extends Changeable>(
    kind: UnpublishedRecord['kind'],
    record: R,
    { confirmation = 'needed', isMark }: ChangeOptions<R>,
  ): Promise<Changed<R>> {
    if (confirmation === 'unneeded') {
      const spread = { ...spreadRecord(kind, record), ...optional('isMark', isMark) };
      const told = await this.#spread.tell([spread]).then(
        () => true,
        (error: unknown) => {
          this.#onUnpublished(error);
          return false;
        },
      );
      if (told) await this.#publish(kind, record);
      return { record, propagation: this.#nowhere() };
    }
    try {
      const propagation = await this.#confirm(kind, record);
      if (record.pending.length > 0) await this.#publish(kind, record);
      return { record, propagation };
    } catch (error) {
      if (confirmation === 'needed' || !isUnconfirmed(error)) throw error;
      return { record, propagation: this.#nowhere(), unconfirmed: error };
    }
  }

  #nowhere(): Propagation {
    return { replicas: 0, acknowledged: 0, effectiveTime: this.#now() };
  }

  /**
   * Makes sure that what is stored is what every replica answers from.
   *
   * @throws Failure `unavailable` (PROPAGATION_UNCONFIRMED).
   */
  confirmKey(key: Key): Promise<Propagation> {
    return this.#confirm('key', key);
  }

  async #confirm(kind: UnpublishedRecord['kind'], record: Changeable): Promise<Propagation> {
    const propagation = await this.#spread.confirm([spreadRecord(kind, record)]);
    return { ...propagation, effectiveTime: await this.#effectiveTime(propagation.effectiveTime) };
  }

  /**
   * When the last answer is over that clients, and replicas that are cut off, keep from before a moment. Read from the store
   * when all is confirmed: until then another process may have let answers live longer.
   */
  async #effectiveTime(confirmed: number): Promise<number> {
    const keyspaces = await this.#record.listKeyspaces().catch((error: unknown) => {
      throw unconfirmed(error);
    });
    return Math.max(
      confirmed + Math.max(0, ...keyspaces.map(answersOutlive)),
      ...keyspaces.map((one) => one.olderAnswersUntil ?? 0),
    );
  }

  /** Finishes what a process left undone that ended after its write: the replicas are told, then the event is published. */
  async finish(target: UnpublishedRecord): Promise<void> {
    const record = await this.#stored(target);
    if (record === undefined) return;
    await this.#spread.tell([spreadRecord(target.kind, record)]);
    await this.#store.publishEvents(target, record.revision);
  }

  async #stored({ kind, id }: UnpublishedRecord): Promise<Changeable | undefined> {
    if (kind === 'key') return this.#record.getKey(id);
    if (kind === 'owner') return this.#record.getOwner(id);
    return (await this.#record.listKeyspaces()).find((one) => one.id === id);
  }

  #nextVersion<R extends Changeable>(
    kind: UnpublishedRecord['kind'],
    before: R,
    edited: R,
    { action, actor, changedFields }: ChangeOptions<R>,
  ): R {
    const next = {
      ...edited,
      revision: before.revision + 1,
      updateTime: Math.max(this.#now(), before.updateTime),
    };
    const event = this.#event(action, { kind, record: next }, actor, changedFields(before, edited));
    return { ...next, pending: [...before.pending, event] };
  }

  #event(
    action: EventAction,
    { kind, record }: { readonly kind: UnpublishedRecord['kind']; readonly record: Changeable },
    actor: Actor,
    changedFields: readonly string[],
  ): AuditEvent {
    return {
      id: `evt_${randomText('base62', 22)}`,
      time: this.#now(),
      action,
      revision: record.revision,
      actor: actor.id,
      changedFields,
      keyspace: record.keyspace ?? record.id,
      ...(kind === 'key' ? { keyId: record.id } : {}),
      ...optional('owner', record.owner),
      ...(actor.onBehalfOf === undefined ? {} : { onBehalfOf: actor.onBehalfOf }),
      ...(actor.requestId === undefined ? {} : { requestId: actor.requestId }),
    };
  }

  // The change is made and durable by now, so a failure here is not the caller's.
  // Events of later revisions stay: whoever made those may end before telling the replicas.
  async #publish(kind: UnpublishedRecord['kind'], { id, revision }: Changeable): Promise<void> {
    try {
      await this.#store.publishEvents({ kind, id }, revision);
    } catch (error) {
      this.#onUnpublished(error);
    }
  }
}

function spreadRecord(kind: UnpublishedRecord['kind'], record: Changeable): SpreadRecord {
  const { id, revision, keyspace = id } = record;
  return { name: recordName({ kind, id }), keyspace, revision };
}

export function revisionMismatch(message: string): Failure {
  return new Failure('conflict', 'REVISION_MISMATCH', message);
}
