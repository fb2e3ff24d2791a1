/** What one process has changed, the next call on another one sees. */

import { describe, expect, test } from 'vitest';
import { VerifyStatus } from '../../src/gen/gatehouse/v1/auth_service_pb.js';
import { type Gatehouse, ROOT_KEY } from '../support/gatehouse.ts';
import { LONG } from '../support/long.ts';
import { MONGOD } from '../support/mongodb.ts';
import { answered, figures, tally, useServer } from './processes.ts';

const ROUNDS = LONG ? 500 : 200;
const LANES = 4;

describe.skipIf(MONGOD === '')('two processes over one database', () => {
  const rig = useServer();

  test(`a key made or revoked on one is so on the other in its next call, ${ROUNDS} times`, async () => {
    const uri = rig.emptyDatabase();
    const [one, other] = await rig.start(2, uri, { GATEHOUSE_VERIFY_ACCESS: 'open' });
    const { keys } = rig.client(one as Gatehouse, ROOT_KEY);
    const { auth } = rig.client(other as Gatehouse);
    const made: VerifyStatus[] = [];
    const revoked: VerifyStatus[] = [];
    const lane = async () => {
      for (let round = 0; round < ROUNDS / LANES; round++) {
        const { key, secret: token } = await answered(() =>
          keys.createKey({ keyspace: 'default', name: 'one' }),
        );
        made.push((await answered(() => auth.verify({ token }))).status);
        const target = { case: 'id' as const, value: key?.id ?? '' };
        await answered(() => keys.revokeKey({ target }));
        revoked.push((await answered(() => auth.verify({ token }))).status);
      }
    };
    await Promise.all(Array.from({ length: LANES }, lane));
    const names = (all: readonly VerifyStatus[]) => tally(all.map((status) => VerifyStatus[status]));
    figures('seen at once', { made: names(made), revoked: names(revoked) });
    expect(names(made)).toEqual({ VALID: ROUNDS });
    expect(names(revoked)).toEqual({ REVOKED: ROUNDS });
  }, 60_000);
});
