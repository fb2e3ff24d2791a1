/**
 * The one way in which a record changes: read it, change it, write it by
 * compare-and-set with its audit event inside, publish the event, say how far the change has spread.
 * No caller writes to the store or empties a cache by itself.
 */

import { setTimeout } from 'node:timers/promises';
import type { Actor, AuditEvent, ChangeableRecord, EventAction } from '../domain/event.ts';
import { Failure } from '../domain/failure.ts';
import type { Key, Owner, Secret } from '../domain/key.ts';
import type { Keyspace } from '../domain/keyspace.ts';
import { optional } from '../domain/optional.ts';
import { blankOwner, type OwnerRecord, ownerId } from '../domain/owner.ts';
import { randomText } from '../domain/token.ts';
import type { KeyStore, UnpublishedRecord } from '../storage/key-store.ts';

/** How far a change has spread when the call returns. */
export interface Propagation {
  /** Processes that may answer for the record. */
  readonly replicas: number;
  /** Those of them that have applied the change. */
  readonly acknowledged: number;
  /** From this moment (milliseconds since 1970) no process answers from the older record. */
  readonly effectiveTime: number;
}

export interface Changed<R> {
  readonly record: R;
  readonly propagation: Propagation;
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
}

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
/** Milliseconds that a change waits for its turn while the store does not answer those before it. */
const TURN_MS = 1000;

export class Changes {
  readonly #store: KeyStore;
  readonly #now: () => number;
  readonly #onUnpublished: (error: unknown) => void;
  /** The last change of each record that this process has under way; the next one waits for it. */
  readonly #tails = new Map<string, Promise<unknown>>();

  /** @param onUnpublished told when an event stays pending; the sweep (pending.ts) publishes it later. */
  constructor(store: KeyStore, now: () => number, onUnpublished: (error: unknown) => void) {
    this.#store = store;
    this.#now = now;
    this.#onUnpublished = onUnpublished;
  }

  /** Adds a key. @returns false where its id or its secret's lookup is taken. */
  async addKey(key: Key, secret: Secret, actor: Actor): Promise<boolean> {
    const event = this.#event('key.create', { kind: 'key', record: key }, actor, []);
    const added = await this.#store.insertKey({ ...key, pending: [event] }, secret);
    if (added) await this.#publish({ kind: 'key', id: key.id });
    return added;
  }

  /** Adds a keyspace. @returns false where its id is taken. */
  async addKeyspace(keyspace: Keyspace, actor: Actor): Promise<boolean> {
    const event = this.#event('keyspace.create', { kind: 'keyspace', record: keyspace }, actor, []);
    const added = await this.#store.insertKeyspace({ ...keyspace, pending: [event] });
    if (added) await this.#publish({ kind: 'keyspace', id: keyspace.id });
    return added;
  }

  /**
   * Changes a key.
   *
   * @param edit is called on each attempt with the key as it is then; what it throws ends the change.
   * @returns undefined where there is no such key.
   * @throws Failure `conflict` where the revision moved on, or others kept winning.
   */
  async changeKey(
    id: string,
    edit: Edit<Key>,
    options: ChangeOptions<Key>,
  ): Promise<Changed<Key> | undefined> {
    return this.#change(
      { kind: 'key', id },
      () => this.#store.getKey(id),
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
      async () => (await this.#store.listKeyspaces()).find((one) => one.id === id),
      (next) => this.#store.replaceKeyspace(next),
      edit,
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
      async () => (await this.#store.getOwner(id)) ?? blankOwner(keyspace, owner, this.#now()),
      (next) => (next.revision === 1 ? this.#store.insertOwner(next) : this.#store.replaceOwner(next)),
      edit,
      options,
    );
    if (changed === undefined) throw new Error('an owner without a record has a blank one');
    return changed;
  }

  /**
   * One change of a record at a time: else a flood of small changes by the holder of a key could keep its revocation
   * from ever winning the compare-and-set.
   */
  async #inTurn<T>({ kind, id }: UnpublishedRecord, change: () => Promise<T>): Promise<T> {
    const name = `${kind} ${id}`;
    const asked = performance.now();
    const turn = (this.#tails.get(name) ?? Promise.resolve()).then(change, (error: unknown) => {
      // Else each would wait for a deadline of its own, one after the other, and the last ones past their callers'.
      if (isUnavailable(error) && performance.now() - asked > TURN_MS) throw error;
      return change();
    });
    this.#tails.set(name, turn);
    try {
      return await turn;
    } finally {
      if (this.#tails.get(name) === turn) this.#tails.delete(name);
    }
  }

  async #change<R extends Changeable>(
    target: UnpublishedRecord,
    read: () => Promise<R | undefined>,
    replace: (next: R) => Promise<boolean>,
    edit: Edit<R>,
    options: ChangeOptions<R>,
  ): Promise<Changed<R> | undefined> {
    return this.#inTurn(target, async () => {
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
        if (edited === before) return { record: before, propagation: this.#propagation() };

        const next = this.#nextVersion(target.kind, before, edited, options);
        if (await replace(next)) {
          await this.#publish(target);
          return { record: next, propagation: this.#propagation() };
        }
        await setTimeout(Math.random() * MAX_PAUSE_MS);
      }
      throw revisionMismatch('others kept changing the record; try again');
    });
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
  async #publish(record: UnpublishedRecord): Promise<void> {
    try {
      await this.#store.publishEvents(record);
    } catch (error) {
      this.#onUnpublished(error);
    }
  }

  /** How far what is stored has spread, where nothing is to change. */
  settled(): Propagation {
    return this.#propagation();
  }

  // Over the embedded store this process is the only one, and its memory dropped the record in the write; over MongoDB no
  // process keeps records in memory.
  #propagation(): Propagation {
    return { replicas: 1, acknowledged: 1, effectiveTime: this.#now() };
  }
}

function isUnavailable(error: unknown): boolean {
  return error instanceof Failure && error.kind === 'unavailable';
}

export function revisionMismatch(message: string): Failure {
  return new Failure('conflict', 'REVISION_MISMATCH', message);
}
