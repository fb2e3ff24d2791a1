/**
 * `npm run bench:copy`: a copy of 50,000 keys to MongoDB and back, each interrupted twice by kill -9 at random places. Ends
 * with 1 unless both hold the same as before and a sample of the keys verifies over each.
 */

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findTools } from '../../scripts/setup-tests.js';
import { openStore } from '../../src/storage/open.ts';
import { bytesIn, interruptedCopy, movedInto, storeMany } from '../cli/copying.ts';
import { runCli } from '../cli/run-cli.ts';
import { callJson, startGatehouse } from '../support/gatehouse.ts';
import { startMongo } from '../support/mongodb.ts';

const KEYS = Number(process.argv[2] ?? 50_000);
const SAMPLE = 200;
const INTERRUPTIONS = 2;

const { GATEHOUSE_TEST_MONGOD: program = '' } = findTools();
if (program === '') throw new Error('there is no server of MongoDB; npm test installs one');

/** Does some work and tells how long it took. */
async function timed<Answer>(what: string, work: () => Promise<Answer>): Promise<Answer> {
  const started = performance.now();
  const answer = await work();
  console.log(`${what.padEnd(48)} ${((performance.now() - started) / 1000).toFixed(1)} s`);
  return answer;
}

/** Interrupts the copy so often, then lets it end. @returns the digests that it printed. */
async function copied(from: string, to: string, progress: () => Promise<number> | number): Promise<string> {
  for (let done = 0; done < INTERRUPTIONS; done++) {
    const place = (done + Math.random()) / INTERRUPTIONS;
    const { signal, stdout } = await timed(`  killed at ${(100 * place).toFixed(0)} %`, () =>
      interruptedCopy(from, to, async () => (await progress()) >= place),
    );
    if (signal !== 'SIGKILL') throw new Error(`the copy was over before it was interrupted: ${stdout}`);
  }
  const { code, stdout, stderr } = await timed('  the rest, and verified', () =>
    runCli(['store', 'copy', '--from', from, '--to', to]),
  );
  if (code !== 0) throw new Error(stderr);
  console.log(stdout);
  return stdout.slice(stdout.indexOf('RECORDS'));
}

async function verifySample(env: Readonly<Record<string, string>>, tokens: readonly string[]): Promise<void> {
  const gatehouse = await startGatehouse({ env: { GATEHOUSE_LOG_LEVEL: 'warn', ...env } });
  try {
    for (let index = 0; index < SAMPLE; index++) {
      const token = tokens[Math.floor((index * tokens.length) / SAMPLE)];
      const { body } = await callJson(gatehouse, 'AuthService/Verify', { token }, { key: gatehouse.rootKey });
      if (body.valid !== true) throw new Error(`a key does not verify: ${JSON.stringify(body)}`);
    }
  } finally {
    await gatehouse.remove();
  }
}

const folder = mkdtempSync(join(tmpdir(), 'gatehouse-copy-'));
const mongo = await startMongo(program);
try {
  const place = (name: string) => join(folder, name, 'gatehouse.db');
  const uri = mongo.uri('copy');
  const first = await startGatehouse({ env: { GATEHOUSE_DATA: place('first') } });
  await first.remove();
  const store = await openStore(place('first'));
  const tokens = await timed(`${KEYS} keys are stored`, () => storeMany(store, KEYS));
  const counts = Object.values(await store.estimateRecords());
  const records = counts.reduce((sum, count) => sum + count, 0);
  await store.close();
  const bytes = bytesIn(join(folder, 'first'));
  mkdirSync(join(folder, 'second'));

  const there = await timed('to MongoDB', () =>
    copied(place('first'), uri, async () => ((await movedInto(uri)) ?? 0) / records),
  );
  const back = await timed('back', () =>
    copied(uri, place('second'), () => bytesIn(join(folder, 'second')) / bytes),
  );
  if (there !== back) throw new Error('what came back is not what was copied');
  await timed(`${SAMPLE} keys verify over the copy of the copy`, () =>
    verifySample({ GATEHOUSE_DATA: place('second') }, tokens),
  );
  await timed(`${SAMPLE} keys verify over MongoDB`, () => verifySample({ MONGODB_URI: uri }, tokens));
} finally {
  await mongo.remove();
  rmSync(folder, { recursive: true, force: true });
}
