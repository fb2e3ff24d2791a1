/**
 * What every store keeps of a changeable record: all of it as JSON, with the events that are not published apart, so that
 * taking them off leaves the record alone. What it is found by, each store keeps beside it in its own way.
 */

import type { AuditEvent, ChangeableRecord } from '../domain/event.ts';
import type { Key } from '../domain/key.ts';
import type { Keyspace } from '../domain/keyspace.ts';

export interface StoredRecord {
  readonly record: string;
  /** Absent or null where nothing waits, so that an index of it holds only records with something to do. */
  readonly pending?: string | null | undefined;
}

export function storedRecord({ pending, ...record }: ChangeableRecord): {
  readonly record: string;
  readonly pending: string | undefined;
} {
  return {
    record: JSON.stringify(record),
    pending: pending.length === 0 ? undefined : JSON.stringify(pending),
  };
}

export function keyOf(stored: StoredRecord): Key {
  return recordOf(stored) as Key;
}

export function keyspaceOf(stored: StoredRecord): Keyspace {
  return recordOf(stored) as Keyspace;
}

function recordOf({ record, pending }: StoredRecord): object {
  return { ...JSON.parse(record), pending: pendingOf(pending) };
}

export function pendingOf(pending: StoredRecord['pending']): readonly AuditEvent[] {
  return typeof pending === 'string' ? (JSON.parse(pending) as AuditEvent[]) : [];
}

/** How names are compared: the text that is searched for goes through this too. */
export function foldName(name: string): string {
  return name.toLowerCase();
}
