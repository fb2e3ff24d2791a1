/** Several replicas that change one key at the same time. */

import type { Credential, Withdrawal } from '../checker.ts';
import type { Clients, TestKey } from '../clients.ts';
import type { Cluster, Replica } from '../cluster.ts';
import { requireOk, type Scenario } from '../scenario.ts';
import type { Answer } from '../service.ts';

const ROUNDS = 6;

/** Answers that a change may be given where another one was first. */
function wasBeaten({ code, reason }: Answer): boolean {
  return code === 'aborted' || reason === 'KEY_REVOKED';
}

function rotated(clients: Clients, replica: Replica, { id }: TestKey): Promise<Answer> {
  return clients.call(replica, 'KeyService/RotateKey', { id, overlap: '0s' });
}

/** @throws Error where an answer is neither OK nor that another one was first. */
function requireOkOrBeaten(answers: readonly Answer[]): readonly Answer[] {
  for (const answer of answers) if (!wasBeaten(answer)) requireOk(answer);
  return answers.filter(({ code }) => code === 'ok');
}

/** Every secret that was given out, and that it has ended by now unless it is the last one. */
function secretsOf(key: TestKey, begun: number, rotations: readonly Answer[]): readonly Credential[] {
  const inOrder = [...rotations].sort(
    (one, other) => Number(one.body.key.revision) - Number(other.body.key.revision),
  );
  const ended: Withdrawal = { what: 'a parallel RotateKey', begun, confirmed: performance.now() };
  return [
    key.credential,
    ...inOrder.map(({ body, end }, index) => ({
      name: `${key.credential.name} rotated ${index + 1}`,
      secret: String(body.secret),
      made: end,
      withdrawals: [],
    })),
  ].map((one, index) => (index === rotations.length ? one : { ...one, withdrawals: [ended] }));
}

async function askEverywhere(cluster: Cluster, clients: Clients, credentials: readonly Credential[]) {
  for (let again = 0; again < 3; again++) {
    const asked = cluster.replicas.flatMap((one) =>
      credentials.map((credential) => clients.verify(one, credential)),
    );
    await Promise.all(asked);
  }
}

export const PARALLEL_CHANGES: Scenario = {
  name: 'of parallel rotations of one key one secret is good everywhere in the end, and no update beside them is lost',
  async run(cluster, clients) {
    const [one, other, third] = [cluster.at(0), cluster.at(1), cluster.at(2)];
    for (let round = 0; round < ROUNDS; round++) {
      const key = await clients.create(one);
      await clients.warm([key]);
      const begun = performance.now();
      const update = (replica: Replica, updateMask: string, value: object) =>
        clients.call(replica, 'KeyService/UpdateKey', { key: { id: key.id, ...value }, updateMask });
      const updates = Promise.all([
        update(other, 'name', { name: `round ${round}` }),
        update(third, 'metadata', { metadata: { round: String(round) } }),
        update(one, 'project', { project: `project-${round}` }),
      ]);
      const rotations = await Promise.all([one, other, third].map((at) => rotated(clients, at, key)));
      const updated = (await updates).map(requireOk);
      const done = requireOkOrBeaten(rotations);
      if (done.length === 0) throw new Error('no rotation was made');
      const secrets = secretsOf(key, begun, done);
      await askEverywhere(cluster, clients, secrets);

      const { body } = requireOk(await clients.call(third, 'KeyService/GetKey', { id: key.id }));
      const { name, metadata, project, revision } = body.key;
      const found = JSON.stringify([name, metadata, project, Number(revision)]);
      const changes = updated.length + done.length;
      const wanted = [`round ${round}`, { round: String(round) }, `project-${round}`, 1 + changes];
      if (found !== JSON.stringify(wanted)) {
        throw new Error(`an update was lost: ${found} instead of ${JSON.stringify(wanted)}`);
      }
    }
  },
};

export const PARALLEL_REVOCATION: Scenario = {
  name: 'a revocation beside rotations and updates of the same key ends every secret that was given out',
  async run(cluster, clients) {
    for (let round = 0; round < ROUNDS; round++) {
      const [one, other, third] = [0, 1, 2].map((index) => cluster.at((round + index) % 3)) as [
        Replica,
        Replica,
        Replica,
      ];
      const key = await clients.create(one);
      await clients.warm([key]);
      const begun = performance.now();
      const others = Promise.all([clients.rename(one, key), clients.rename(third, key)]);
      const rotations = Promise.all([other, third].map((at) => rotated(clients, at, key)));
      const revoked = requireOk(await clients.revoke(one, key));
      // From its OK on, whatever the others are told.
      const confirmed = revoked.end;
      await askEverywhere(cluster, clients, [key.credential]);
      const done = requireOkOrBeaten(await rotations);
      requireOkOrBeaten(await others);
      const ended: Withdrawal = { what: 'RevokeKey beside a RotateKey', begun, confirmed };
      const secrets = secretsOf(key, begun, done).map((secret) => ({ ...secret, withdrawals: [ended] }));
      await askEverywhere(cluster, clients, secrets);
    }
  },
};
