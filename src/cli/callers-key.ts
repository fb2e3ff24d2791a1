/** Which key a command calls with. */

import { BadUsage, readTextFile, setting, type Terminal } from './terminal.ts';

/** Options that give the caller's key. */
export interface KeyOptions {
  readonly key?: string;
  readonly keyFile?: string;
}

/** Settings that may hold the caller's key; each also has a `_FILE` form. The first that is set counts. */
const KEY_SETTINGS = ['GATEHOUSE_KEY', 'GATEHOUSE_ROOT_KEY'];

/** The key of the options, else of the settings, else none. @throws BadUsage where two are given, or a file cannot be read. */
export function callersKey(terminal: Terminal, { key, keyFile }: KeyOptions): string | undefined {
  if (key !== undefined && keyFile !== undefined)
    throw new BadUsage('--key and --key-file are both given; give one');
  if (key !== undefined) return key;
  if (keyFile !== undefined) return readTextFile(keyFile).trim();
  for (const name of KEY_SETTINGS) {
    const value = setting(terminal, name);
    const file = setting(terminal, `${name}_FILE`);
    if (value !== undefined && file !== undefined)
      throw new BadUsage(`${name} and ${name}_FILE are both set; set one`);
    if (file !== undefined) return readTextFile(file).trim();
    if (value !== undefined) return value;
  }
  return undefined;
}
