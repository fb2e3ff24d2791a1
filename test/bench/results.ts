/** Results of the benches, as they are committed: with the machine that they were measured on. */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';

const FOLDER = join(import.meta.dirname, 'results');
const GIB = 1024 ** 3;

/** @param figures anything that is JSON. */
export function saveResults(name: string, figures: object): void {
  const [cpu] = cpus();
  const machine = {
    cpu: cpu?.model,
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / GIB),
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
  };
  const date = new Date().toISOString().slice(0, 10);
  mkdirSync(FOLDER, { recursive: true });
  const rounded = JSON.stringify({ name, date, machine, ...figures }, round, 2);
  writeFileSync(join(FOLDER, `${name}.json`), `${rounded}\n`);
}

/** The committed results of a bench. @throws Error where there are none. */
export function readResults<Results>(name: string): Results {
  return JSON.parse(readFileSync(join(FOLDER, `${name}.json`), 'utf8')) as Results;
}

/** More than four digits of a figure are noise. */
function round(_key: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(4)) : value;
}

export function median(figures: readonly number[]): number {
  return [...figures].sort((one, other) => one - other)[Math.floor(figures.length / 2)] ?? Number.NaN;
}
