/** Keyspaces that several processes make at once: no two ever share the beginning of their keys. */

import { describe, expect, test } from 'vitest';
import { type Gatehouse, ROOT_KEY } from '../support/gatehouse.ts';
import { MONGOD } from '../support/mongodb.ts';
import { type Client, figures, keyspaceOf, outcomeOf, tally, useServer } from './processes.ts';

const ROUNDS = 25;
const BUILT_IN = 2;

/** What two processes ask for at the same moment, and what the one that is not first is told. */
const COLLISIONS = [
  {
    of: 'the same prefix',
    pair: (round: number) => [keyspaceOf(`a${round}`, `p${round}_`), keyspaceOf(`b${round}`, `p${round}_`)],
    reason: 'PREFIX_CONFLICT',
  },
  {
    of: 'a prefix that begins the other',
    pair: (round: number) => [keyspaceOf(`a${round}`, `p${round}_`), keyspaceOf(`b${round}`, `p${round}_b_`)],
    reason: 'PREFIX_CONFLICT',
  },
  {
    of: 'the same id, with another prefix',
    pair: (round: number) => [keyspaceOf(`a${round}`, `p${round}_`), keyspaceOf(`a${round}`, `q${round}_`)],
    reason: 'KEYSPACE_EXISTS',
  },
];

describe.skipIf(MONGOD === '')('two processes that make keyspaces at once', () => {
  const rig = useServer();

  test.each(COLLISIONS)('with $of: one is made, never both', async ({ pair, reason }) => {
    const uri = rig.emptyDatabase();
    const processes = await rig.start(2, uri);
    const clients = processes.map((one: Gatehouse) => rig.client(one, ROOT_KEY));
    const wins = { first: 0, second: 0 };
    const isAnswered = ({ code }: { readonly code: string }) => code !== 'UNAVAILABLE';
    for (let round = 0; round < ROUNDS; round++) {
      const wanted = pair(round);
      const outcomes = await Promise.all(clients.map((client, index) => make(client, wanted[index])));
      // On a busy machine one may get no answer; what there is in the end must be right all the same.
      if (!outcomes.every(isAnswered)) continue;
      expect(outcomes.map(({ code }) => code).sort()).toEqual(['ALREADY_EXISTS', 'OK']);
      expect(outcomes.find(({ code }) => code !== 'OK')?.reason).toBe(reason);
      wins[outcomes[0]?.code === 'OK' ? 'first' : 'second']++;
    }
    figures('colliding keyspaces', { reason, wins });

    const store = await rig.open(uri);
    const keyspaces = await store.listKeyspaces();
    expect(wins.first + wins.second).toBeGreaterThan(ROUNDS / 2);
    expect(keyspaces.length).toBeGreaterThanOrEqual(wins.first + wins.second + BUILT_IN);
    for (const { id, prefix } of keyspaces) {
      expect(keyspaces.filter((other) => other.prefix.startsWith(prefix))).toHaveLength(1);
      const events = await store.listEvents({ kind: 'keyspace', id });
      expect(tally(events.map(({ action }) => action))).toEqual({ 'keyspace.create': 1 });
    }
  });
});

function make(client: Client, keyspace: ReturnType<typeof keyspaceOf> | undefined) {
  return outcomeOf(() => client.keyspaces.createKeyspace({ keyspace: keyspace ?? {} }));
}
