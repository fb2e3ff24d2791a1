/**
 * Moves all of one store into another, one batch after the other, and looks at the end whether both hold the same.
 *
 * Wherever it is interrupted, the target is left with a note that says so: nobody is served from half a store, and the
 * same copy goes on from there.
 */

import { MOVED_KINDS } from '../movable-store.ts';
import { type Comparison, compare, isSame } from './compare.ts';
import { BEGINNING, type CopyNote, type CopyPoint, identityOf, noteOf, noteText } from './note.ts';
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
      `${to.name} is not the same as ${from.name} in records of kind ${differing.join(', ')}, though it was copied twice: stop whatever writes to either and run the same command again; if that does not help, empty the target and copy anew`,
    );
    this.name = 'CopyDiffers';
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
  const note = noteOf(await to.do((store) => store.readCopyNote()));
  await refuseTarget(from, to, source, note);
  const begun = note ?? BEGINNING;
  const run = async (start: CopyPoint) => {
    await move(from, to, source, start, options);
    return compare(from, to, options);
  };
  let kinds = await run(begun);
  // What changed in the source behind the place where the copy stood is overwritten by a second one.
  if (!kinds.every(isSame)) kinds = await run(BEGINNING);
  if (!kinds.every(isSame)) throw new CopyDiffers(from, to, kinds);
  await to.do((store) => store.writeCopyNote(undefined));
  return { resumedAfter: begun.moved, kinds };
}

/** The note is written before the first record, and after each batch. */
async function move(
  from: Side,
  to: Side,
  source: string,
  start: CopyPoint,
  { signal, onProgress }: CopyOptions,
): Promise<void> {
  const note = (point: CopyPoint) =>
    to.do((store) => store.writeCopyNote(noteText({ source, ...point } satisfies CopyNote)));
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
