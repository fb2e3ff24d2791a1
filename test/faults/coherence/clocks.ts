/**
 * Wall clocks of single processes that can be stepped while they run, by libfaketime: the system's own stays.
 *
 * Only the wall clock: the monotonic one is not stepped by anybody (and a Node whose monotonic clock goes back ends itself).
 */

import { chmodSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The library that the set-up found; empty where there is none. */
export const FAKETIME = process.env.GATEHOUSE_TEST_FAKETIME ?? '';

export class SteppedClock {
  /** The environment of a process that goes by it. */
  readonly env: Readonly<Record<string, string>>;
  readonly #file: string;

  /** @param library of libfaketime. */
  constructor(library: string, folder: string, name: string) {
    this.#file = join(folder, `${name}.clock`);
    this.env = {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: this.#file,
      FAKETIME_NO_CACHE: '1',
      DONT_FAKE_MONOTONIC: '1',
      NO_FAKE_STAT: '1',
    };
    this.step(0);
  }

  /** From now on it is so many seconds ahead of the system's; behind it, where they are below 0. */
  step(seconds: number): void {
    // In one step: each look at the time reads it.
    writeFileSync(`${this.#file}.next`, `${seconds < 0 ? '' : '+'}${seconds}`);
    renameSync(`${this.#file}.next`, this.#file);
  }

  /** A program that starts another one which goes by this clock. */
  programFor(program: string): string {
    const path = `${this.#file}.sh`;
    const settings = Object.entries(this.env).map(([name, value]) => `${name}='${value}'`);
    writeFileSync(path, `#!/bin/sh\nexec env ${settings.join(' ')} '${program}' "$@"\n`);
    chmodSync(path, 0o755);
    return path;
  }
}
