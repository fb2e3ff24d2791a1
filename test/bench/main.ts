/**
 * `npm run bench -- NAME...`: runs these benches, or all of them one behind the other. Leave the machine alone meanwhile.
 *
 * GATEHOUSE_BENCH_ROUNDS and GATEHOUSE_BENCH_SECONDS make them shorter, where it is not for the figures.
 */

import { spawnSync } from 'node:child_process';
import { describeMachine } from './machine.ts';

/** Each prints its table and writes `results/NAME.json`. */
const BENCHES: Readonly<Record<string, () => Promise<{ readonly run: () => Promise<void> }>>> = {
  unary: () => import('./unary.ts'),
  stream: () => import('./stream.ts'),
};

const names = process.argv.slice(2);
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
for (const name of names.length > 0 ? names : Object.keys(BENCHES)) {
  console.log(`\n== ${name}\n`);
  await (await BENCHES[name]?.())?.run();
}
process.exit(0);
