/**
 * `npm run bench -- NAME...`: runs these benches one behind the other, or all but the last two. Leave the machine alone
 * meanwhile. A number behind a name is for that bench: `npm run bench -- long 60`.
 *
 * GATEHOUSE_BENCH_ROUNDS and GATEHOUSE_BENCH_SECONDS make them shorter, where it is not for the figures.
 */

import { spawnSync } from 'node:child_process';
import { describeMachine } from './machine.ts';

interface Bench {
  /** @returns an exit code, where it is a number. */
  readonly run: (number?: number) => Promise<unknown>;
}

/** Each prints its table and writes `results/NAME.json`. */
const BENCHES: Readonly<Record<string, () => Promise<Bench>>> = {
  unary: () => import('./unary.ts'),
  stream: () => import('./stream.ts'),
  growth: () => import('./growth.ts'),
  latency: () => import('./latency.ts'),
  start: () => import('./start.ts'),
  workers: () => import('./workers.ts'),
  ratios: () => import('./ratios.ts'),
  long: () => import('./long.ts'),
  guard: () => import('./guard.ts'),
};
const ALL = Object.keys(BENCHES).slice(0, -2);

const args = process.argv.slice(2);
const names = args.filter((text) => !/^\d+$/.test(text));
const unknown = names.filter((name) => BENCHES[name] === undefined);
if (unknown.length > 0) {
  console.error(`There is no bench ${unknown.join(', ')}. There are: ${Object.keys(BENCHES).join(', ')}`);
  process.exit(2);
}
if (spawnSync('h2load', ['--version']).error !== undefined) {
  console.error('npm run bench needs h2load: apt-get install nghttp2-client');
  process.exit(1);
}
console.log(describeMachine());
let exitCode = 0;
for (const name of names.length > 0 ? names : ALL) {
  console.log(`\n== ${name}\n`);
  const number = names.length > 0 ? args[args.indexOf(name) + 1] : undefined;
  const bench = await BENCHES[name]?.();
  const code = await bench?.run(/^\d+$/.test(number ?? '') ? Number(number) : undefined);
  if (typeof code === 'number') exitCode ||= code;
}
process.exit(exitCode);
