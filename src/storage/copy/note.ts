/** What a copy notes in its target, so that it can go on where it was. */

import { hash } from 'node:crypto';
import type { Registry } from '../../domain/keyspace.ts';
import type { MovedKind } from '../movable-store.ts';

/** How far a copy has come. */
export interface CopyPoint {
  /** The kind that is being moved, and the source's position up to which it was; absent: nothing was yet. */
  readonly kind?: MovedKind;
  readonly position?: string;
  /** Records moved up to here. */
  readonly moved: number;
}

export interface CopyNote extends CopyPoint {
  /** The identity of the source. */
  readonly source: string;
  /** The run of `gatehouse store copy` that wrote the note. */
  readonly by: string;
}

export const BEGINNING: CopyPoint = { moved: 0 };

/** Tells one store from all others and is the same for its copies; tells nothing of the key that it is made of. */
export function identityOf({ macKey }: Registry): string {
  return hash('sha256', `gatehouse store ${macKey}`, 'hex');
}

export function noteText(note: CopyNote): string {
  return JSON.stringify(note);
}

export function noteOf(text: string | undefined): CopyNote | undefined {
  return text === undefined ? undefined : (JSON.parse(text) as CopyNote);
}
