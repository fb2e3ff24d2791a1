/** From the flags of an update to the fields of its mask: each that is given names one. */

import { BadUsage } from './terminal.ts';

/** A field that an update may name: its path, whether a flag names it, and its new value; no value takes it away. */
export type FieldChange<Fields> = readonly [path: string, given: boolean, value: Fields];

/** The new values and the mask of what was given. @throws BadUsage where nothing was. */
export function givenChanges<Fields extends object>(
  changes: readonly FieldChange<Fields>[],
): { readonly fields: Fields; readonly updateMask: { readonly paths: string[] } } {
  const given = changes.filter(([, isGiven]) => isGiven);
  if (given.length === 0) throw new BadUsage('nothing to change: give at least one field, see --help');
  return {
    fields: Object.assign({}, ...given.map(([, , value]) => value)),
    updateMask: { paths: given.map(([path]) => path) },
  };
}
