/** What is recorded of an owner: what bounds its keys, and whether they work at all. Most owners have no record. */

import type { ChangeableRecord } from './event.ts';
import type { Generations } from './generation.ts';
import { type Owner, ownerText } from './key.ts';

export interface OwnerRecord extends ChangeableRecord, Generations {
  readonly keyspace: string;
  readonly owner: Owner;
  /** The most that the owner's keys may do. Absent: no bound. Empty: nothing at all. */
  readonly permissionBound?: readonly string[];
  readonly disabled: boolean;
  /** Sessions that were issued before this moment (milliseconds since 1970) do not count. */
  readonly notBefore?: number;
  readonly generation: number;
  /** Milliseconds since 1970. */
  readonly createTime: number;
  readonly updateTime: number;
}

/** The id of an owner's record. An id of a keyspace holds no slash and a kind no colon, so no two owners share one. */
export function ownerId(keyspace: string, owner: Owner): string {
  return `${keyspace}/${ownerText(owner)}`;
}

/** What stands for the record of an owner that has none: at revision 0, so that the first change makes revision 1. */
export function blankOwner(keyspace: string, owner: Owner, now: number): OwnerRecord {
  return {
    id: ownerId(keyspace, owner),
    keyspace,
    owner,
    disabled: false,
    generation: 0,
    createTime: now,
    updateTime: now,
    revision: 0,
    pending: [],
  };
}
