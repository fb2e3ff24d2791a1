/** What is asked about before it is there, and secrets that are almost right. */

import { setTimeout } from 'node:timers/promises';
import { randomText } from '../../../../src/domain/token.ts';
import type { Credential } from '../checker.ts';
import type { Clients } from '../clients.ts';
import type { Replica } from '../cluster.ts';
import type { Scenario } from '../scenario.ts';

/** Milliseconds that the store's answers, and what is asked of it, are on their way to the slow replica. */
const WAY_MS = 300;
/** Callers with a wrong secret at one time, and for how many milliseconds. */
const GUESSERS = 24;
const GUESSING_MS = 2000;
/** Milliseconds in which keys whose secret is known are answered, beside the guessers and on a busy machine. */
const DELAYED_MS = 500;

/** What a management key may do: its token is asked about by using it. */
async function isKnown(clients: Clients, replica: Replica, token: string): Promise<boolean> {
  const { code } = await clients.call(replica, 'KeyService/ListKeys', { keyspace: 'default' }, token);
  return code === 'ok';
}

export const KNOWN_BEFORE: Scenario = {
  // Only a root key's token is known to anyone before its key is made.
  name: 'a token that was refused as unknown is accepted on every replica as soon as its key was made',
  async run(cluster, clients) {
    const token = `ghm_${randomText('base62', 40)}`;
    const slow = cluster.at(2);
    for (const replica of cluster.replicas) {
      if (await isKnown(clients, replica, token)) throw new Error('a token was known before its key');
    }
    slow.toStore.delay(WAY_MS);
    let made = false;
    // Reads that begin before it is there, and end after.
    const lanes = cluster.replicas.flatMap((replica) =>
      [0, 1].map(async (lane) => {
        await setTimeout(lane * WAY_MS);
        while (!made) await isKnown(clients, replica, token);
      }),
    );
    const maker = await cluster.another({ GATEHOUSE_ROOT_KEY: token });
    made = true;
    try {
      for (const replica of cluster.replicas) {
        if (!(await isKnown(clients, replica, token))) {
          clients.violations.push(`${replica.name} refuses a key that was asked for before it was made`);
        }
      }
      await Promise.all(lanes);
    } finally {
      await maker.end();
    }
  },
};

export const GUESSED: Scenario = {
  name: 'wrong secrets for the locator of a known Argon2id key are refused, and keep no known key waiting',
  async run(cluster, clients) {
    const [acting, asked] = [cluster.at(0), cluster.at(1)];
    const keyspace = await clients.createKeyspace(acting, 'ARGON2ID');
    const keys = [await clients.create(acting, undefined, keyspace), await clients.create(acting)];
    await clients.warm(keys);
    const good = keys[0]?.credential.secret ?? '';
    const guess = (): Credential => ({
      name: 'a guess',
      secret: altered(good),
      made: 0,
      withdrawals: [{ what: 'being wrong', begun: 0, confirmed: 0 }],
    });
    const end = performance.now() + GUESSING_MS;
    const details = new Set<string>();
    const guessers = Array.from({ length: GUESSERS }, async () => {
      while (performance.now() < end) {
        const { answer, detail } = await clients.verify(asked, guess());
        details.add(detail);
        // Who is shed at once would otherwise keep the test's own process busy.
        if (answer === 'none') await setTimeout(20);
      }
    });
    const times: number[] = [];
    while (performance.now() < end) {
      for (const { credential } of keys) {
        const { start, end: ended, answer, detail } = await clients.verify(asked, credential);
        if (answer !== 'valid') throw new Error(`${credential.name} was answered ${detail}`);
        times.push(ended - start);
      }
      await setTimeout(5);
    }
    await Promise.all(guessers);
    if (!details.has('VERIFY_STATUS_NOT_FOUND')) throw new Error(`no guess was looked at: ${[...details]}`);
    const median = times.sort((one, other) => one - other)[Math.floor(times.length / 2)] ?? 0;
    clients.counts['ms of a known key beside guesses, median'] = Math.round(median);
    if (median > DELAYED_MS) throw new Error(`known keys waited ${Math.round(median)} ms`);
    await clients.warm(keys);
  },
};

/** A token with the same locator and another secret. */
function altered(token: string): string {
  return token.slice(0, -8) + randomText('base62', 8);
}
