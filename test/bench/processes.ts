/** What the benches do to processes, and see of them, from outside. Only Linux tells all of it; elsewhere it is NaN. */

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

/** Of one tick of the kernel's clock. */
const TICK_MICROSECONDS = 10_000;
const MIB_KB = 1024;

/** Where servers run. */
export const SERVER_CORE = 0;
/** Where the load is made. */
export const LOAD_CORE = 1;

/** Whether processes can be bound to those two cores. */
export const canPin = availableParallelism() > 1 && spawnSync('taskset', ['-V']).status === 0;

/** Binds all threads of a process to one core, where that can be done. */
export function pin(pid: number | undefined, core: number): void {
  if (canPin && pid !== undefined) spawnSync('taskset', ['-apc', String(core), String(pid)]);
}

/** The command that runs a program on one core, where that can be done. */
export function pinned(core: number | undefined, program: string): readonly [string, ...string[]] {
  return canPin && core !== undefined ? ['taskset', '-c', String(core), program] : [program];
}

/** Microseconds of CPU that a process has used so far, of all its threads; a hundredth of a second exact. */
export function cpuOf(pid: number | undefined): number {
  const fields = read(pid, 'stat').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * TICK_MICROSECONDS;
}

/** MiB of a process that are in memory (RSS). */
export function memoryOf(pid: number | undefined): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+)/m.exec(read(pid, 'status')) ?? [];
  return Number(kilobytes) / MIB_KB;
}

function read(pid: number | undefined, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}
