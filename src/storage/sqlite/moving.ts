/**
 * What a copy reads and writes here. Reading goes in chunks by primary key, with a turn of the event loop between two of
 * them: no statement stays open over a write, and a signal is heard.
 */

import type { SQLInputValue } from 'node:sqlite';
import { setImmediate } from 'node:timers/promises';
import type { AuditEvent } from '../../domain/event.ts';
import { movedRegistry, type Registry } from '../../domain/keyspace.ts';
import type { RequestRecord } from '../../domain/request.ts';
import type { UnpublishedRecord } from '../key-store.ts';
import { BATCH, type Batch, type Moved, type MovedKind } from '../movable-store.ts';
import { keyOf, keyspaceOf, ownerOf } from '../stored-record.ts';
import type { Connection } from './connection.ts';
import {
  type GenerationRow,
  keyColumns,
  keyspaceColumns,
  ownerColumns,
  type RecordRow,
  requestColumns,
  type SecretRow,
  secretColumns,
  secretOf,
} from './records.ts';
import type { StatementName } from './statements.ts';

type Columns = Record<string, SQLInputValue>;

interface UsageRow {
  readonly key_id: string;
  readonly count: number;
  readonly last_used_time: number;
}

interface EventRow {
  readonly id: string;
  readonly record_kind: UnpublishedRecord['kind'];
  readonly record_id: string;
  readonly event: string;
}

/** How a kind is kept. `row` is what the statement `read` selects. */
interface Kept<Kind extends MovedKind> {
  readonly read: StatementName;
  readonly write: StatementName;
  /** Columns of the primary key, and values that are before all others. */
  readonly start: Readonly<Columns>;
  recordOf(row: Columns): Moved[Kind];
  columnsOf(record: Moved[Kind]): Columns;
}

const KEPT: { readonly [Kind in MovedKind]: Kept<Kind> } = {
  registry: {
    read: 'movedRegistry',
    write: 'putRegistry',
    start: { id: 0 },
    recordOf: ({ record }) => movedRegistry(JSON.parse(String(record)) as Registry),
    columnsOf: (registry) => ({ revision: registry.revision, record: JSON.stringify(registry) }),
  },
  keyspace: {
    read: 'movedKeyspaces',
    write: 'putKeyspace',
    start: { id: '' },
    recordOf: (row) => keyspaceOf(row as unknown as GenerationRow),
    columnsOf: keyspaceColumns,
  },
  owner: {
    read: 'movedOwners',
    write: 'putOwner',
    start: { id: '' },
    recordOf: (row) => ownerOf(row as unknown as GenerationRow),
    columnsOf: ownerColumns,
  },
  key: {
    read: 'movedKeys',
    write: 'putKey',
    start: { id: '' },
    recordOf: (row) => keyOf(row as unknown as RecordRow),
    columnsOf: keyColumns,
  },
  secret: {
    read: 'movedSecrets',
    write: 'putSecret',
    start: { keyspace: '', lookup: '' },
    recordOf: (row) => secretOf(row as unknown as SecretRow),
    columnsOf: secretColumns,
  },
  usage: {
    read: 'movedUsage',
    write: 'putUsage',
    start: { key_id: '' },
    recordOf(row) {
      const { key_id, count, last_used_time } = row as unknown as UsageRow;
      return { keyId: key_id, count, lastUsedTime: last_used_time };
    },
    columnsOf: ({ keyId, count, lastUsedTime }) => ({
      key_id: keyId,
      count,
      last_used_time: lastUsedTime,
    }),
  },
  event: {
    read: 'movedEvents',
    write: 'putEvent',
    start: { id: '' },
    recordOf(row) {
      const { record_kind, record_id, event } = row as unknown as EventRow;
      return { record: { kind: record_kind, id: record_id }, event: JSON.parse(event) as AuditEvent };
    },
    columnsOf: ({ record, event }) => ({
      id: event.id,
      record_kind: record.kind,
      record_id: record.id,
      revision: event.revision,
      event: JSON.stringify(event),
    }),
  },
  request: {
    read: 'movedRequests',
    write: 'putRequest',
    start: { id: '' },
    recordOf: ({ record }) => JSON.parse(String(record)) as RequestRecord,
    columnsOf: requestColumns,
  },
};

/** A position is the values of the primary key, as JSON. */
export async function* batchesOf<Kind extends MovedKind>(
  file: Connection,
  kind: Kind,
  after?: string,
): AsyncIterable<Batch<Kind>> {
  const { read, start, recordOf } = KEPT[kind];
  let place: readonly SQLInputValue[] = after === undefined ? Object.values(start) : JSON.parse(after);
  for (;;) {
    const found = file.reading(() => {
      const rows = file.rows<Columns>(read, ...place, BATCH);
      return { last: rows.at(-1), records: rows.map(recordOf) };
    });
    const { last, records } = found;
    if (last === undefined) return;
    place = Object.keys(start).map((column) => last[column] ?? null);
    yield { records, position: JSON.stringify(place) };
    await setImmediate();
  }
}

export function estimateRecords(file: Connection): Record<MovedKind, number> {
  const counts = file.reading(() => file.first<Record<MovedKind, number>>('countRecords'));
  return counts ?? { registry: 0, keyspace: 0, owner: 0, key: 0, secret: 0, usage: 0, event: 0, request: 0 };
}

/** On disk by the note that follows: the log is written in order. */
export async function putRecords<Kind extends MovedKind>(
  file: Connection,
  kind: Kind,
  records: readonly Moved[Kind][],
): Promise<void> {
  const { write, columnsOf } = KEPT[kind];
  await file.writingUnsynced(() => {
    for (const record of records) file.runNamed(write, columnsOf(record));
    return true;
  });
}

export function readCopyNote(file: Connection): string | undefined {
  return file.reading(() => file.first<{ note: string }>('readCopyNote')?.note);
}

export function writeCopyNote(
  file: Connection,
  note: string | undefined,
  before: string | undefined,
): Promise<boolean> {
  return file.writing(() => {
    if (readCopyNote(file) !== before) return false;
    return note === undefined ? file.run('clearCopyNote') : file.run('writeCopyNote', note);
  });
}
