/**
 * Moves all of one store into another, one batch after the other, and looks at the end whether both hold the same.
 *
 * Wherever it is interrupted, the target is left with a note that says so: nobody is served from half a store, and the
 * same copy goes on from there.
 */

import { randomUUID } from 'node:crypto';
import { MOVED_KINDS } from '../movable-store.ts';
import { type Comparison, compare, isSame } from './compare.ts';
import { BEGINNING, type CopyPoint, identityOf, noteOf, noteText } from './note.ts';
import { type CopyOptions, sum } from './progress.ts';
import { refuseTarget } from './refusals.ts';
import type { Side } from './side.ts';

/** Both stores were read through, and the records of some kinds are not the same. */
export class CopyDiffers extends Error {
  constructor(from: Side, to: Side, kinds: readonly Comparison[]) {
    const differing = kinds
      .filter((one) => !isSame(one))
      .map(
        ({ kind, source, target }) =>
          `${kind} (${source.count} in the source, ${target.count} in the target)`,
      );
    super(
      `${to.name} is not the same as ${from.name} in records of kind ${differing.join(', ')}, though it was copied twice: stop whatever writes to either and run the same command again; if that does not help, or the copy was begun from an older state of the source, empty the target and copy anew`,
    );
    this.name = 'CopyDiffers';
  }
}

/** Another copy into the same target was begun after this one, or is done; this one must not write any more. */
export class CopyOvertaken extends Error {
  constructor({ name }: Side) {
    super(`another copy into ${name} has taken over; this one wrote no more`);
    this.name = 'CopyOvertaken';
  }
}

export interface CopyResult {
  /** Records that an earlier run of this copy had moved. */
  readonly resumedAfter: number;
  /** All kinds, source and target equal. */
  readonly kinds: readonly Comparison[];
}

/**
 * @param to new or empty, or what an earlier run of this copy left behind.
 * @throws CopyRefused before anything is written. CopyDiffers, CopyBroken: the note stays, and nobody is served.
 */
export async function copyStore(from: Side, to: Side, options: CopyOptions): Promise<CopyResult> {
  const source = identityOf(await from.do((store) => store.readRegistry()));
  let written = await to.do((store) => store.readCopyNote());
  const note = noteOf(written);
  await refuseTarget(from, to, source, note);
  const begun = note ?? BEGINNING;
  // Each run has a name of its own in the note, so that one which was given up, and wakes, finds itself replaced.
  const by = randomUUID();
  const write = async (point: CopyPoint | undefined) => {
    const text = point && noteText({ source, by, ...point });
    if (!(await to.do((store) => store.writeCopyNote(text, written)))) throw new CopyOvertaken(to);
    written = text;
  };
  const run = async (start: CopyPoint) => {
    await move(from, to, write, start, options);
    return compare(from, to, options);
  };
  let kinds = await run(begun);
  // What changed in the source behind the place where the copy stood is overwritten by a second one.
  if (!kinds.every(isSame)) kinds = await run(BEGINNING);
  if (!kinds.every(isSame)) throw new CopyDiffers(from, to, kinds);
  await write(undefined);
  return { resumedAfter: begun.moved, kinds };
}

/** The note is written before the first record, and after each batch. */
async function move(
  from: Side,
  to: Side,
  note: (point: CopyPoint) => Promise<void>,
  { kind: at, position: place, moved: before }: CopyPoint,
  { signal, onProgress }: CopyOptions,
): Promise<void> {
  const start: CopyPoint = { ...(at && { kind: at }), ...(place && { position: place }), moved: before };
  await note(start);
  const total = sum(await from.do((store) => store.estimateRecords()));
  let { moved } = start;
  onProgress('copying', moved, total);
  for (const kind of MOVED_KINDS.slice(MOVED_KINDS.indexOf(start.kind ?? 'registry'))) {
    const after = kind === start.kind ? start.position : undefined;
    for await (const { records, position } of from.batches(kind, after)) {
      signal.throwIfAborted();
      await to.do((store) => store.putRecords(kind, records));
      moved += records.length;
      await note({ kind, position, moved });
      onProgress('copying', moved, total);
    }
  }
}
