/** Keys as people see them. */

import type { Timestamp } from '@bufbuild/protobuf/wkt';
import { ownerText } from '../domain/key.ts';
import { type Key, KeySchema, KeyStateSchema } from '../gen/gatehouse/v1/key_pb.js';
import { type DetailRow, describe, enumText } from './describe.ts';
import type { Column } from './table.ts';
import { timeText } from './values.ts';

const when = (time: Timestamp | undefined, otherwise: string): string =>
  time === undefined ? otherwise : timeText(time);

/** The date, and the mark of what was cut off. */
export const DATE_WIDTH = 11;

/** Columns of `keys list`. The id is never cut: it is what the next command needs. */
export const KEY_COLUMNS: readonly Column<Key>[] = [
  { title: 'ID', text: (key) => key.id },
  { title: 'NAME', text: (key) => key.name, least: 8 },
  { title: 'KEY', text: (key) => `${key.displayPrefix}…`, least: 8 },
  { title: 'STATE', text: (key) => enumText(KeyStateSchema, key.state) },
  { title: 'KEYSPACE', text: (key) => key.keyspace, least: 8 },
  {
    title: 'OWNER',
    text: ({ owner }) => (owner ? ownerText(owner) : ''),
    least: 8,
    optional: true,
  },
  { title: 'PROJECT', text: (key) => key.project, least: 8, optional: true },
  { title: 'EXPIRES', text: (key) => when(key.expireTime, 'never'), least: DATE_WIDTH },
  { title: 'LAST USED', text: (key) => when(key.lastUsedTime, 'never'), least: DATE_WIDTH },
];

/** Everything that is known of one key. */
export function keyRows(key: Key | undefined): DetailRow[] {
  if (key === undefined) return [];
  const rows = describe(KeySchema, key);
  if (key.expireTime === undefined) rows.push(['expire time', 'never']);
  return rows;
}
