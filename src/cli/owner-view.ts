/** Owners as people see them. */

import { ownerText } from '../domain/key.ts';
import { type OwnerRecord, OwnerRecordSchema } from '../gen/gatehouse/v1/owner_pb.js';
import { type DetailRow, describe } from './describe.ts';
import { DATE_WIDTH } from './key-view.ts';
import type { Column } from './table.ts';
import { timeText } from './values.ts';

/** Columns of `owners list`. Owner and keyspace are never cut: they are what the next command needs. */
export const OWNER_COLUMNS: readonly Column<OwnerRecord>[] = [
  { title: 'OWNER', text: ownerText },
  { title: 'KEYSPACE', text: (owner) => owner.keyspace },
  { title: 'DISABLED', text: (owner) => (owner.disabled ? 'yes' : 'no') },
  { title: 'PERMISSION BOUND', text: boundText, least: 16 },
  {
    title: 'NOT BEFORE',
    text: ({ notBefore }) => (notBefore ? timeText(notBefore) : ''),
    least: DATE_WIDTH,
    optional: true,
  },
];

/** Everything that is recorded of one owner. */
export function ownerRows(owner: OwnerRecord | undefined): DetailRow[] {
  if (owner === undefined) return [];
  return [
    ['owner', ownerText(owner)],
    ['keyspace', owner.keyspace],
    ['permission bound', boundText(owner)],
    ...describe(OwnerRecordSchema, owner, ['keyspace', 'kind', 'id', 'permission_bound']),
  ];
}

/** "No bound" and a bound that lists nothing are opposites; no permission has a space, so neither is taken for one. */
function boundText({ permissionBound }: OwnerRecord): string {
  if (permissionBound === undefined) return 'no bound';
  const { permissions } = permissionBound;
  return permissions.length === 0 ? 'nothing at all' : permissions.join(', ');
}
