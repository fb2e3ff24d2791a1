/**
 * Generations: one write that kills many keys. A keyspace and an owner's record count generations, a key carries those
 * that it was made in, and one of an earlier generation is revoked. No clocks are compared, and a key that was being
 * made while the generation ended is dead as well.
 */

import type { Actor } from './event.ts';

/** What ended a generation. */
export interface Revocation {
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly actor: Actor;
  /** Empty: none was given. */
  readonly reason: string;
}

/** What of a keyspace or an owner's record says which keys live. */
export interface Generations {
  /** Absent: 0. Only ever grows. */
  readonly generation?: number;
  /** What ended the generation before; set from generation 1 on. */
  readonly revocation?: Revocation;
  /** Set while records of dead keys may not say themselves that they are revoked. */
  readonly unmarked?: true;
}

/** The fields that end the generation which lives now. */
export function nextGeneration(record: Generations, revocation: Revocation): Required<Generations> {
  return { generation: generationOf(record) + 1, revocation, unmarked: true };
}

/** Which generation lives. @param record undefined: there is none, and its generation is the first. */
export function generationOf(record: Generations | undefined): number {
  return record?.generation ?? 0;
}

/** What ended the generation that something of this generation was made in; undefined: that one still lives. */
export function endOf(record: Generations | undefined, generation = 0): Revocation | undefined {
  return generation < generationOf(record) ? record?.revocation : undefined;
}
