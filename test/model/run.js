// `npm run model`: Spin explores the model of docs/revocation.md, first as it is, then with each guard taken out, where it must find a
// violation. `-- --large` explores larger bounds (minutes, about 3 GB), `-- --trace wait` tells a found violation step by step.
// The exit code is 0 where every verdict is the expected one.

import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const MODEL = join(import.meta.dirname, 'revocation.pml');
const MEGABYTES = 9000;

/**
 * @typedef {object} Exploration
 * @property {string} name
 * @property {string[]} flags of the model, without -D
 * @property {boolean} holds the expected verdict
 * @typedef {object} Verdict
 * @property {boolean} holds
 * @property {number} states
 * @property {number} seconds
 * @property {string[]} steps of the violation that was found
 */

/** @type {Exploration[]} */
export const SMALL = [
  { name: 'one change', flags: ['CALLS=1', 'DEATHS=1'], holds: true },
  { name: 'one change, Redis begins anew', flags: ['CALLS=1', 'RESTARTS=1'], holds: true },
  { name: 'the same change twice', flags: ['CALLS=2', 'READERS=1', 'DEATHS=1'], holds: true },
];

/** @type {Exploration[]} */
export const LARGE = [
  { name: 'the same change twice, both answer', flags: ['CALLS=2', 'DEATHS=1'], holds: true },
  {
    name: 'two changes, Redis begins anew',
    flags: ['CALLS=2', 'WRITES=2', 'READERS=1', 'RESTARTS=1', 'DEATHS=1'],
    holds: true,
  },
  {
    name: 'one change, Redis begins anew twice',
    flags: ['CALLS=1', 'RESTARTS=2', 'DEATHS=1'],
    holds: true,
  },
  {
    name: 'three replicas, two answer',
    flags: ['CALLS=1', 'REPLICAS=3', 'READERS=2'],
    holds: true,
  },
];

const ONE = ['CALLS=1'];
const ANEW = ['CALLS=1', 'RESTARTS=1'];
const TWO = ['CALLS=2', 'WRITES=2', 'READERS=1'];
const TRIMMED = ['CALLS=1', 'TRIMS=1'];
const SLOWLY = [...TRIMMED, 'SLOW_TRIM'];

/** @type {Exploration[]} */
export const MUTATIONS = [
  without('wait', ONE),
  without('reply', ONE),
  without('lease', ONE),
  without('sending', ONE),
  without('token', ONE),
  without('loads', ONE),
  without('own', ONE),
  without('store_first', ONE),
  without('order', [...ONE, 'DEATHS=1']),
  without('repeat', ['CALLS=2', 'READERS=1']),
  without('name', ANEW),
  without('take', ANEW),
  without('epoch', ANEW),
  without('age', ANEW),
  without('same_epoch', ANEW),
  without('ack_epoch', [...TWO, 'RESTARTS=1']),
  without('compare', TWO),
  without('unique', [...TWO, 'RESTARTS=1']),
  without('gap', TRIMMED),
  // A pair: either covers for the other where the log is trimmed only of what is older than each lease.
  { ...without('lapse', TRIMMED), holds: true },
  { ...without('gap', SLOWLY), name: 'gap, slowly trimmed', holds: true },
  { ...without('lapse', SLOWLY), name: 'lapse, slowly trimmed', holds: true },
  { name: 'lapse + gap, slowly trimmed', flags: [...SLOWLY, 'NO_LAPSE', 'NO_GAP'], holds: false },
];

/**
 * @param {string} guard
 * @param {string[]} bound
 * @returns {Exploration}
 */
function without(guard, bound) {
  return { name: guard, flags: [...bound, `NO_${guard.toUpperCase()}`], holds: false };
}

/**
 * Explores all states, or up to the first violation. One that should be found is searched breadth first, so that its steps are few.
 * @param {Exploration} exploration
 * @returns {Verdict}
 */
export function explore({ flags, holds }) {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-model-'));
  try {
    copyFileSync(MODEL, join(folder, 'revocation.pml'));
    const defines = flags.map((flag) => `-D${flag}`);
    run('spin', [...defines, '-a', 'revocation.pml'], folder);
    const search = holds ? [] : ['-DBFS'];
    run(
      'gcc',
      ['-O2', '-w', '-DSAFETY', '-DNOREDUCE', `-DMEMLIM=${MEGABYTES}`, ...search, '-o', 'pan', 'pan.c'],
      folder,
    );
    const begun = performance.now();
    const report = run(join(folder, 'pan'), ['-m1000000', '-w24'], folder);
    const seconds = (performance.now() - begun) / 1000;
    const errors = /errors: (\d+)/.exec(report)?.[1];
    const states = Number(/([\d.e+]+) states, stored/.exec(report)?.[1]);
    if (
      errors === undefined ||
      (errors === '0' && /Search not completed|max search depth too small/.test(report))
    )
      throw new Error(`The exploration did not end:\n${report}`);
    const found = errors !== '0';
    return { holds: !found, states, seconds, steps: found ? replay(defines, folder) : [] };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Runs the model along the trail that was found: it must end at the violated assertion.
 * @param {string[]} defines
 * @param {string} folder
 */
function replay(defines, folder) {
  const told = run('spin', [...defines, '-t', '-T', 'revocation.pml'], folder);
  if (!/assertion violated/.test(told)) throw new Error(`The violation does not replay:\n${told}`);
  return told
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => /^(replica|call|sweep|Redis|the log|a Verify|a change)\b/.test(line));
}

/**
 * @param {string} program
 * @param {string[]} args
 * @param {string} folder
 */
function run(program, args, folder) {
  const { error, status, stdout, stderr } = spawnSync(program, args, {
    cwd: folder,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (error !== undefined) throw error;
  // A replay ends with 1 at its assertion.
  if (status !== 0 && !args.includes('-t'))
    throw new Error(`${program} ended with ${status}:\n${stdout}${stderr}`);
  return stdout;
}

/** @param {string[]} args */
function main(args) {
  const traced = args[args.indexOf('--trace') + 1];
  if (args.includes('--trace')) {
    const exploration = MUTATIONS.find(({ name }) => name === traced);
    if (exploration === undefined)
      throw new Error(`--trace: one of ${MUTATIONS.map(({ name }) => name).join(', ')}`);
    console.log(explore(exploration).steps.join('\n'));
    return true;
  }
  const rounds = /** @type {const} */ ([
    ['As it is', args.includes('--large') ? [...SMALL, ...LARGE] : SMALL],
    ['Without', MUTATIONS],
  ]);
  let good = true;
  for (const [title, explorations] of rounds) {
    console.log(`\n${title.padEnd(42)} ${'states'.padStart(12)} ${'seconds'.padStart(8)}  verdict`);
    for (const exploration of explorations) {
      const { holds, states, seconds, steps } = explore(exploration);
      const expected = holds === exploration.holds;
      good &&= expected;
      const verdict = holds ? 'holds' : `violated in ${steps.length - 1} steps`;
      const figures = `${states.toLocaleString('en').padStart(12)} ${seconds.toFixed(1).padStart(8)}`;
      console.log(`${exploration.name.padEnd(42)} ${figures}  ${verdict}${expected ? '' : '  NOT EXPECTED'}`);
      if (!expected)
        console.log([exploration.flags.join(' '), ...steps].map((line) => `    ${line}`).join('\n'));
    }
  }
  console.log(good ? '\nEvery verdict is the expected one.' : '\nNOT EVERY VERDICT IS THE EXPECTED ONE.');
  return good;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href)
  process.exitCode = main(process.argv.slice(2)) ? 0 : 1;
