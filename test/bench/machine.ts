/** The machine that the figures are of, and how processes share it: servers on core 0, the load on core 1. */

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';

/** Of one tick of the kernel's clock, in nanoseconds. */
const TICK_NS = 10_000_000;

export const SERVER_CORE = 0;
export const LOAD_CORE = 1;

/** Whether `taskset` is there, and a core for each side. */
export const canPin = cpus().length > 1 && spawnSync('taskset', ['-V']).status === 0;

/** Keeps a process, with all threads that it has by now, on one core from now on. */
export function pin(pid: number | undefined, core = SERVER_CORE): void {
  if (canPin && pid !== undefined) spawnSync('taskset', ['-apc', String(core), String(pid)]);
}

/** The same command, on the core of the load, or on another one, or on any. */
export function onLoadCore(
  program: string,
  args: readonly string[],
  core: number | 'any' = LOAD_CORE,
): [string, string[]] {
  return canPin && core !== 'any'
    ? ['taskset', ['-c', String(core), program, ...args]]
    : [program, [...args]];
}

/** CPU time of a process so far in nanoseconds, by steps of 10 ms; NaN where the system is not Linux. */
export function cpuTimeOf(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return (Number(fields[11]) + Number(fields[12])) * TICK_NS;
  } catch {
    return Number.NaN;
  }
}

/** MiB of a process that are in memory (RSS); NaN where the system is not Linux. */
export function memoryOf(pid: number): number {
  try {
    const [, kilobytes] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return Number(kilobytes) / 1024;
  } catch {
    return Number.NaN;
  }
}

export function describeMachine(): string {
  const pinned = canPin ? `server on core ${SERVER_CORE}, load on core ${LOAD_CORE}` : 'not pinned';
  return `${cpus()[0]?.model.trim()}, ${cpus().length} cores, Node ${process.version}, ${pinned}`;
}
