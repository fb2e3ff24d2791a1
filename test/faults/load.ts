/** Clients that create, revoke and verify keys without a pause, and keep what they were told. */

import { type Client, type Outcome, outcomeOf } from './processes.ts';

/** A key that a create or a revoke was about. */
export interface Made {
  readonly id: string;
  readonly secret: string;
  /** What its revoke was told; absent: nobody revoked it. */
  revoke?: Outcome<unknown>;
}

export interface Load {
  /** Keys whose create was acknowledged. */
  readonly made: readonly Made[];
  /** How each call ended, by what it was. */
  readonly outcomes: Readonly<Record<'create' | 'revoke' | 'verify', readonly Outcome<unknown>[]>>;
  /** Resolves once the calls under way have ended. */
  stop(): Promise<void>;
}

/**
 * @param client with the right to make and revoke keys of keyspace `default`.
 * @param lanes that create and revoke in turn; half as many verify a key that stays good.
 */
export function startLoad(client: Client, lanes: number): Load {
  const made: Made[] = [];
  const outcomes = {
    create: [] as Outcome<unknown>[],
    revoke: [] as Outcome<unknown>[],
    verify: [] as Outcome<unknown>[],
  };
  let running = true;
  let names = 0;

  const createOne = async (): Promise<Made | undefined> => {
    const name = `load-${names++}`;
    const outcome = await outcomeOf(() => client.keys.createKey({ keyspace: 'default', name }));
    outcomes.create.push(outcome);
    const { key, secret } = outcome.answer ?? {};
    if (key === undefined || secret === undefined) return undefined;
    const one = { id: key.id, secret };
    made.push(one);
    return one;
  };
  const change = async () => {
    for (let round = 0; running; round++) {
      const one = await createOne();
      if (one === undefined || round % 2 === 0) continue;
      one.revoke = await outcomeOf(() =>
        client.keys.revokeKey({ target: { case: 'id', value: one.id }, reason: 'load' }),
      );
      outcomes.revoke.push(one.revoke);
    }
  };
  const verify = async () => {
    const { secret = '' } = (await createOne()) ?? {};
    while (running) outcomes.verify.push(await outcomeOf(() => client.auth.verify({ token: secret })));
  };
  const work = Promise.all([
    ...Array.from({ length: lanes }, change),
    ...Array.from({ length: lanes / 2 }, verify),
  ]);
  return {
    made,
    outcomes,
    async stop() {
      running = false;
      await work;
    },
  };
}
