/** Into what nothing is copied. */

import { MOVED_KINDS } from '../movable-store.ts';
import { type CopyNote, identityOf } from './note.ts';
import type { Side } from './side.ts';

/** The target is none; nothing was changed in it. The message is the line to show. */
export class CopyRefused extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'CopyRefused';
  }
}

/**
 * @param source the identity of `from`.
 * @param note what a copy noted in the target.
 * @throws CopyRefused unless the target is empty, or what an earlier run of this copy left.
 */
export async function refuseTarget(
  from: Side,
  to: Side,
  source: string,
  note: CopyNote | undefined,
): Promise<void> {
  if (note?.source === source) return;
  if (note !== undefined) {
    throw new CopyRefused(`${to.name} holds an unfinished copy of another store; name an empty target`);
  }
  if ((await to.do((store) => store.readRegistry().then(identityOf))) === source) {
    throw new CopyRefused(
      `${to.name} and ${from.name} are the same store, or one is a finished copy of the other; nothing was copied`,
    );
  }
  if (!(await isEmpty(to))) throw new CopyRefused(`${to.name} is not empty; name an empty target`);
}

/** Whether nothing was done with the store since it was made. */
async function isEmpty(side: Side): Promise<boolean> {
  if ((await side.do((store) => store.readRegistry())).revision > 1) return false;
  for (const kind of MOVED_KINDS.filter((one) => one !== 'registry')) {
    for await (const _ of side.batches(kind)) return false;
  }
  return true;
}
