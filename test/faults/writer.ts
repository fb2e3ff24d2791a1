/** One of many writers of the same keys: what it tried, and what it was told. */

import { answered, type Client, type Outcome, outcomeOf } from './processes.ts';

/** The fields that writers change. */
export interface Fields {
  readonly name: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly permissions: readonly string[];
  readonly disabled: boolean;
  readonly project: string;
}

export interface Change {
  /** Sent as the call's request id, so its audit event has it. */
  readonly id: string;
  /** Key of the writer. */
  readonly actor: string;
  readonly keyId: string;
  readonly action: 'key.update' | 'key.revoke';
  readonly fields: Partial<Fields>;
  readonly reason?: string;
  readonly outcome: Outcome<{ readonly revision: number; readonly fields: Fields }>;
}

export interface Writer {
  /** Key that it calls with. */
  readonly actor: string;
  readonly name: string;
  readonly client: Client;
}

/** Changes keys, one after the other, until the time is over. @param end by `performance.now`. */
export async function write(writer: Writer, keyIds: readonly string[], end: number): Promise<Change[]> {
  const draw = dice(writer.name);
  const changes: Change[] = [];
  while (performance.now() < end) {
    // Half of all changes go to a few keys, for the writers to meet there.
    const keyId = keyIds[draw(draw(2) === 0 ? 3 : keyIds.length)] ?? '';
    const id = `${writer.name}-${changes.length}`;
    const expected = draw(2) === 0 ? await revisionOf(writer, keyId) : undefined;
    changes.push(await change(writer, keyId, id, drawFields(id, draw), expected));
  }
  return changes;
}

async function change(
  { actor, client }: Writer,
  keyId: string,
  id: string,
  fields: Partial<Fields>,
  expected: bigint | undefined,
): Promise<Change> {
  const outcome = await outcomeOf(async () => {
    const request = {
      key: { id: keyId, ...fields, permissions: [...(fields.permissions ?? [])] },
      updateMask: { paths: Object.keys(fields) },
      ...(expected === undefined ? {} : { expectedRevision: expected }),
    };
    const { key } = await client.keys.updateKey(request, { metadata: { 'x-request-id': id } });
    return { revision: Number(key?.revision), fields: fieldsOf(key) };
  });
  return { id, actor, keyId, action: 'key.update', fields, outcome };
}

/** Revokes a key, giving a reason that only this writer gives. */
export async function revoke({ actor, name, client }: Writer, keyId: string): Promise<Change> {
  const id = `${name}-revokes-${keyId}`;
  const reason = `by ${name}`;
  const outcome = await outcomeOf(async () => {
    const request = { target: { case: 'id' as const, value: keyId }, reason };
    const { key } = await client.keys.revokeKey(request, { metadata: { 'x-request-id': id } });
    return { revision: Number(key?.revision), fields: fieldsOf(key) };
  });
  return { id, actor, keyId, action: 'key.revoke', fields: {}, reason, outcome };
}

async function revisionOf({ client }: Writer, id: string): Promise<bigint | undefined> {
  return (await answered(() => client.keys.getKey({ id }))).key?.revision;
}

/** Name or metadata carry the change's id, so that no two changes leave the same behind. */
function drawFields(id: string, draw: (below: number) => number): Partial<Fields> {
  return {
    ...(draw(2) === 0 ? { name: id } : { metadata: { change: id } }),
    ...(draw(3) === 0 ? { permissions: [`docs:${draw(3)}`] } : {}),
    ...(draw(3) === 0 ? { disabled: draw(2) === 0 } : {}),
    ...(draw(4) === 0 ? { project: ['', 'one', 'two'][draw(3)] ?? '' } : {}),
  };
}

export function fieldsOf(key: Partial<Fields> | undefined): Fields {
  const { name = '', metadata = {}, permissions = [], disabled = false, project = '' } = key ?? {};
  return { name, metadata: { ...metadata }, permissions: [...permissions], disabled, project };
}

/** The same numbers in each run, other ones for each writer. */
function dice(name: string): (below: number) => number {
  let state = [...name].reduce((sum, letter) => (Math.imul(sum, 31) + letter.charCodeAt(0)) | 0, 17);
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return (state >>> 8) % below;
  };
}
