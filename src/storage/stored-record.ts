/**
 * What every store keeps of a changeable record: all of it as JSON, with the events that are not published apart, so that
 * taking them off leaves the record alone. What it is found by, each store keeps beside it in its own way.
 */

import type { AuditEvent, ChangeableRecord } from '../domain/event.ts';
import type { Key } from '../domain/key.ts';
import type { Keyspace } from '../domain/keyspace.ts';
import type { OwnerRecord } from '../domain/owner.ts';

export interface StoredRecord {
  readonly record: string;
  /** Absent or null where nothing waits, so that an index of it holds only records with something to do. */
  readonly pending?: string | null | undefined;
}

/** Of a record with generations. */
export interface StoredGenerationRecord extends StoredRecord {
  /** The generation whose dead keys may not be marked yet; absent or null where all are. Apart, as `pending` is. */
  readonly unmarked?: number | null | undefined;
}

export function storedRecord({ pending, ...record }: ChangeableRecord): {
  readonly record: string;
  readonly pending: string | undefined;
} {
  return {
    record: JSON.stringify(record),
    pending: pendingText(pending),
  };
}

export function keyOf(stored: StoredRecord): Key {
  return recordOf(stored) as Key;
}

export function keyspaceOf(stored: StoredGenerationRecord): Keyspace {
  return generationRecordOf(stored) as Keyspace;
}

export function ownerOf(stored: StoredGenerationRecord): OwnerRecord {
  return generationRecordOf(stored) as OwnerRecord;
}

function generationRecordOf(stored: StoredGenerationRecord): object {
  return { ...recordOf(stored), ...(typeof stored.unmarked === 'number' ? { unmarked: true } : {}) };
}

function recordOf({ record, pending }: StoredRecord): object {
  return { ...JSON.parse(record), pending: pendingOf(pending) };
}

/** The events up to a revision of their record, and those of later ones as they are stored. */
export function dueEvents(
  pending: StoredRecord['pending'],
  upTo: number,
): readonly [readonly AuditEvent[], string | undefined] {
  const all = pendingOf(pending);
  const later = all.filter(({ revision }) => revision > upTo);
  return [all.filter(({ revision }) => revision <= upTo), pendingText(later)];
}

function pendingText(pending: readonly AuditEvent[]): string | undefined {
  return pending.length === 0 ? undefined : JSON.stringify(pending);
}

export function pendingOf(pending: StoredRecord['pending']): readonly AuditEvent[] {
  return typeof pending === 'string' ? (JSON.parse(pending) as AuditEvent[]) : [];
}

/** How names are compared: the text that is searched for goes through this too. */
export function foldName(name: string): string {
  return name.toLowerCase();
}
