/** Which key a command calls with. */

import { readFileSync } from 'node:fs';
import type { ServerOptions } from './connection.ts';
import { BadUsage, setting, type Terminal } from './terminal.ts';

/** Settings that may hold the caller's key; each also has a `_FILE` form. The first that is set counts. */
const KEY_SETTINGS = ['GATEHOUSE_KEY', 'GATEHOUSE_ROOT_KEY'];

/** The key of the options, else of the settings, else none. @throws BadUsage where two are given, or a file cannot be read. */
export function callersKey(terminal: Terminal, { key, keyFile }: ServerOptions): string | undefined {
  if (key !== undefined && keyFile !== undefined)
    throw new BadUsage('--key and --key-file are both given; give one');
  if (key !== undefined) return key;
  if (keyFile !== undefined) return readOptionFile(keyFile).trim();
  for (const name of KEY_SETTINGS) {
    const value = setting(terminal, name);
    const file = setting(terminal, `${name}_FILE`);
    if (value !== undefined && file !== undefined)
      throw new BadUsage(`${name} and ${name}_FILE are both set; set one`);
    if (file !== undefined) return readOptionFile(file).trim();
    if (value !== undefined) return value;
  }
  return undefined;
}

/** The text of a file that an option or setting names. @throws BadUsage where it cannot be read. */
export function readOptionFile(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    throw new BadUsage(`${file}: cannot be read`);
  }
}
