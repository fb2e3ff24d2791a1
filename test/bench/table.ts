/** Prints what was measured, and keeps it in `results/` with the machine's name. */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeMachine } from './machine.ts';
import type { Ratio, Row } from './rounds.ts';

const RESULTS = join(import.meta.dirname, 'results');

/**
 * Prints rows, with a column for each of their ratios. Where the server's core is not busy all the time, something else was
 * the bottleneck, and what it answers for each second of CPU says more.
 *
 * @param unit of what is counted, such as `calls`.
 */
export function printTable(rows: readonly Row[], unit: string): void {
  const labels = [...new Set(rows.flatMap(({ ratios }) => Object.keys(ratios)))];
  const lines = [
    ['', `${unit}/s`, 'core busy', 'us CPU', 'per s of CPU', ...labels.map((label) => `x ${label}`)],
    ...rows.map(({ name, rate, cpuMicros, perCpuSecond, ratios }) => [
      name,
      whole(rate),
      `${whole((100 * rate) / perCpuSecond)} %`,
      cpuMicros.toFixed(1),
      whole(perCpuSecond),
      ...labels.map((label) => ratioText(ratios[label])),
    ]),
  ];
  const widths = lines[0]?.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  for (const line of lines) {
    const cells = line.map((cell, column) =>
      column === 0 ? cell.padEnd(widths?.[column] ?? 0) : cell.padStart(widths?.[column] ?? 0),
    );
    console.log(cells.join('  ').trimEnd());
  }
}

/** Of answers a second; in brackets of answers for each second of the server's CPU. */
function ratioText(ratio: Ratio | undefined): string {
  return ratio === undefined ? '' : `${ratio.rate.toFixed(2)} (${ratio.perCpuSecond.toFixed(2)})`;
}

function whole(figure: number): string {
  return Number.isFinite(figure) ? Math.round(figure).toLocaleString('en') : '-';
}

/** Writes `results/<name>.json`: what was measured, where and when. */
export function saveResults(name: string, results: object): void {
  mkdirSync(RESULTS, { recursive: true });
  const told = { machine: describeMachine(), date: new Date().toISOString().slice(0, 10), ...results };
  writeFileSync(join(RESULTS, `${name}.json`), `${JSON.stringify(told, rounded, 2)}\n`);
}

/** The committed results of a bench. @throws Error where there are none. */
export function readResults<Results>(name: string): Results {
  return JSON.parse(readFileSync(join(RESULTS, `${name}.json`), 'utf8')) as Results;
}

/** Four digits are more than any of it is worth. */
function rounded(_: string, value: unknown): unknown {
  return typeof value === 'number' ? Number(value.toPrecision(4)) : value;
}
