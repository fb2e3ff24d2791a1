/** Holds what writers were told against what the store has: makes the changes of a key again, in the order of its events. */

import { isDeepStrictEqual } from 'node:util';
import { expect } from 'vitest';
import type { AuditEvent } from '../../src/domain/event.ts';
import type { MongoKeyStore } from '../../src/storage/mongodb/store.ts';
import { type Change, type Fields, fieldsOf } from './writer.ts';

/**
 * @param changes all that were tried on this key.
 * @param name that it was made with; its other fields were empty.
 */
export async function checkKey(
  store: MongoKeyStore,
  { id: keyId, name }: { readonly id: string; readonly name: string },
  changes: readonly Change[],
): Promise<void> {
  const stored = await store.getKey(keyId);
  const [made, ...events] = await store.listEvents({ kind: 'key', id: keyId });
  expect(made).toMatchObject({ action: 'key.create', revision: 1, keyId });
  expect(events.map(({ revision }) => revision)).toEqual(events.map((_, index) => index + 2));

  const left = new Map(changes.map((change) => [change.id, change]));
  const done: Change[] = [];
  let fields = fieldsOf({ name });
  for (const event of events) {
    const change = left.get(event.requestId ?? '');
    if (change === undefined) throw new Error(`an event of no change, or a second one: ${event.requestId}`);
    left.delete(change.id);
    done.push(change);
    fields = checkChange(event, change, fields);
  }
  expect(stored).toMatchObject({ revision: events.length + 1, pending: [] });
  expect(fieldsOf(stored)).toEqual(fields);
  const last = done.at(-1);
  expect(stored?.revokeReason).toBe(last?.reason);
  expect(stored?.revokeTime !== undefined).toBe(last?.action === 'key.revoke');
  for (const change of left.values()) checkWithoutEvent(change, last);
  checkOrder(done);
}

/** @returns the fields after the change. */
function checkChange(event: AuditEvent, change: Change, before: Fields): Fields {
  const after = { ...before, ...change.fields };
  const differ = (Object.keys(after) as (keyof Fields)[]).filter(
    (field) => !isDeepStrictEqual(before[field], after[field]),
  );
  // One without an answer may have been made.
  if (change.outcome.code !== 'UNAVAILABLE') {
    const answer = { revision: event.revision, fields: after };
    expect(change.outcome).toMatchObject({ code: 'OK', answer });
  }
  expect(event).toMatchObject({ action: change.action, actor: change.actor, keyId: change.keyId });
  expect([...event.changedFields].sort()).toEqual(
    change.action === 'key.revoke' ? ['revoke_reason', 'revoke_time'] : differ.sort(),
  );
  return after;
}

/** Refused, or a revoke of a key that was revoked already. */
function checkWithoutEvent({ action, outcome }: Change, last: Change | undefined): void {
  if (outcome.code !== 'OK') return;
  expect([action, last?.action]).toEqual(['key.revoke', 'key.revoke']);
  if (last?.outcome.code === 'OK') expect(outcome.answer).toEqual(last.outcome.answer);
}

/** No change may come before one that was answered before it was asked for. */
function checkOrder(done: readonly Change[]): void {
  let latestStart = 0;
  for (const { id, outcome } of done) {
    if (outcome.code !== 'OK') continue;
    expect(outcome.end, id).toBeGreaterThan(latestStart);
    latestStart = Math.max(latestStart, outcome.start);
  }
}
