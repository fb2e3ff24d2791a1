/** The service over real records, behind two ports: one with the short way in front of the pipeline, one without. */

import { AuthService } from '../../src/gen/gatehouse/v1/auth_service_pb.js';
import { createKey } from '../../src/keys/create.ts';
import { createKeyspace } from '../../src/keys/keyspaces.ts';
import { updateKey } from '../../src/keys/update.ts';
import { authService } from '../../src/rpc/handlers/auth-service.ts';
import { Callers } from '../../src/rpc/lane/callers.ts';
import { PlainAnswers } from '../../src/rpc/lane/plain-answers.ts';
import { StreamLane } from '../../src/rpc/lane/stream-lane.ts';
import { VerifyLane } from '../../src/rpc/lane/verify-lane.ts';
import { createPipeline } from '../../src/rpc/pipeline.ts';
import { type Servers, startServers } from '../../src/rpc/servers.ts';
import { CachedKeyStore } from '../../src/storage/cache/memory.ts';
import { ALONE } from '../../src/storage/cache/shared.ts';
import { openSqliteStore } from '../../src/storage/sqlite/open.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { VerifyLog } from '../../src/telemetry/verify-log.ts';
import { authenticate } from '../../src/verification/authenticate.ts';
import { Secrets } from '../../src/verification/secrets.ts';
import { UsageRecorder } from '../../src/verification/usage.ts';
import { Verifier } from '../../src/verification/verifier.ts';
import { callBy, draft, partsOver, ROOT_KEY } from '../support/parts.ts';

export const VERIFY = '/gatehouse.v1.AuthService/Verify';
const NOW = Date.UTC(2026, 10, 21);

/** What is left of calls on one of the ports. */
export interface Side {
  readonly port: number;
  readonly lines: Record<string, unknown>[];
  readonly metrics: Metrics;
  readonly usage: Map<string, number>;
  /** Calls that the short way has answered. */
  answered: number;
}

export interface LaneRig {
  readonly short: Side;
  readonly long: Side;
  /** Tokens of keys in each state, by what they are. */
  readonly tokens: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

export async function startLaneRig(access: 'key' | 'open' = 'key'): Promise<LaneRig> {
  const store = await openSqliteStore(':memory:');
  const parts = await partsOver(store, undefined, () => NOW);
  const root = await callBy(parts, ROOT_KEY);
  const request = {
    permissions: ['docs:*', 'a:b'],
    metadata: { team: 'one', z: '', é: 'ü' },
    allowedCidrs: [],
  };
  const tokens: Record<string, string> = { root: ROOT_KEY };
  const make = async (name: string, keyspace: string, more: object = {}) => {
    const { key, token = '' } = await createKey(parts, root, keyspace, { name, ...request, ...more });
    tokens[name] = token;
    return key;
  };
  await createKeyspace(parts, root, draft({ clientCacheTtl: 90_000 }));
  await createKeyspace(
    parts,
    root,
    draft({ id: 'slow', prefix: 'slow_', hash: 'argon2id', secretLength: 40 }),
  );
  await make('plain', 'default');
  await make('owned', 'shop', { owner: { kind: 'user', id: 'u1' }, project: 'p1' });
  await make('expiring', 'shop', { expireTime: NOW + 30_500 });
  await make('bound', 'default', { allowedCidrs: ['192.0.2.0/24'] });
  await make('large', 'default', {
    metadata: Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`k${index}`, 'x'.repeat(200)])),
  });
  await make('argon', 'slow');
  const disabled = await make('disabled', 'default');
  await updateKey(parts, root, disabled.id, { disabled: true }, undefined);
  await make('verifier', 'gatehouse', { permissions: ['tokens:verify@shop'], metadata: {} });
  await make('reader', 'gatehouse', { permissions: ['keys:read'], metadata: {} });
  await make('elsewhere', 'gatehouse', {
    permissions: ['tokens:verify'],
    metadata: {},
    allowedCidrs: ['192.0.2.1/32'],
  });
  await make('here', 'gatehouse', {
    permissions: ['tokens:verify'],
    metadata: {},
    allowedCidrs: ['127.0.0.1/32'],
  });

  const sizes = { secrets: 1_000_000, keys: 1_000_000, owners: 1_000_000 };
  const servers: Servers[] = [];
  const ends: (() => Promise<unknown>)[] = [];
  const side = async (withLane: boolean): Promise<Side> => {
    const cached = new CachedKeyStore(parts.store, { sizes, lease: ALONE });
    const secrets = new Secrets([]);
    const counted = new Map<string, number>();
    const usage = new UsageRecorder(parts.store, () => undefined);
    usage.count = (id) => void counted.set(id, (counted.get(id) ?? 0) + 1);
    ends.push(() => usage.close());
    const now = () => NOW;
    const verifier = new Verifier({ cached, record: parts.store, secrets, usage, now });
    const lines: Record<string, unknown>[] = [];
    const log = createLog({
      level: 'info',
      destination: { write: (text) => void lines.push(JSON.parse(text)) },
    });
    const metrics = new Metrics({ processMetrics: false });
    const callers = new Callers({ verifier, access, now });
    const answers = new PlainAnswers(verifier);
    const pipeline = createPipeline({
      routes: (router) => {
        router.service(AuthService, authService({ verifier, access, feed: undefined, macKey: '', now }));
      },
      authenticate: (token, options) => authenticate(verifier, usage, now, token, options),
      verifyAccess: access,
      log,
      verifyLog: new VerifyLog({ log, mode: 'all', now: () => 0, later: () => undefined }),
      metrics,
      ...(withLane ? { streams: new StreamLane(callers, answers) } : {}),
    });
    const lane = new VerifyLane({ callers, answers, usage, callLog: pipeline.callLog, metrics });
    const result: Side = { port: 0, lines, metrics, usage: counted, answered: 0 };
    const { answer } = VerifyLane.prototype;
    lane.answer = (...call) => {
      const given = answer.apply(lane, call);
      if (given !== undefined) result.answered++;
      return given;
    };
    const started = await startServers({
      pipeline,
      ...(withLane ? { lane } : {}),
      host: '127.0.0.1',
      grpcPort: 0,
      httpPort: 0,
      checkReady: async () => [],
      metrics,
      log,
    });
    servers.push(started);
    return Object.assign(result, { port: started.grpcPort });
  };
  const [short, long] = [await side(true), await side(false)];
  return {
    short,
    long,
    tokens,
    async stop() {
      await Promise.all(servers.map((one) => one.drain(0)));
      for (const end of ends) await end();
      await parts.marking.stop();
      await parts.usage.close();
      await store.close();
    },
  };
}
