/** Builds everything once, starts it in order and stops it in the reverse order. */

import { Changes } from './coherence/changes.ts';
import { type Coherence, startCoherence } from './coherence/coherence.ts';
import { Marking } from './coherence/marking.ts';
import { PendingSweep, publishPending } from './coherence/pending.ts';
import type { Replica } from './coherence/replica.ts';
import { optional } from './domain/optional.ts';
import { AuthService } from './gen/gatehouse/v1/auth_service_pb.js';
import { KeyService } from './gen/gatehouse/v1/key_service_pb.js';
import { KeyspaceService } from './gen/gatehouse/v1/keyspace_service_pb.js';
import { OwnerService } from './gen/gatehouse/v1/owner_service_pb.js';
import { ensureKeyspaces, ensureRoot, type RootReport } from './keys/first-start.ts';
import type { Parts } from './keys/parts.ts';
import { patiently } from './keys/patiently.ts';
import { authService } from './rpc/handlers/auth-service.ts';
import { keyService } from './rpc/handlers/key-service.ts';
import { keyspaceService } from './rpc/handlers/keyspace-service.ts';
import { ownerService } from './rpc/handlers/owner-service.ts';
import { Callers } from './rpc/lane/callers.ts';
import { PlainAnswers } from './rpc/lane/plain-answers.ts';
import { StreamLane } from './rpc/lane/stream-lane.ts';
import { VerifyLane } from './rpc/lane/verify-lane.ts';
import { createPipeline } from './rpc/pipeline.ts';
import { startServers } from './rpc/servers.ts';
import type { Settings } from './settings.ts';
import type { CachedKeyStore } from './storage/cache/memory.ts';
import type { KeyStore } from './storage/key-store.ts';
import { withBoundedLookups } from './storage/lookups.ts';
import { openStore } from './storage/open.ts';
import { createLog, type Log } from './telemetry/log.ts';
import { Metrics } from './telemetry/metrics.ts';
import type { MetricsPage } from './telemetry/reports.ts';
import { Trouble } from './telemetry/trouble.ts';
import { unrefTimer, VerifyLog } from './telemetry/verify-log.ts';
import { authenticate } from './verification/authenticate.ts';
import { requirePeppers } from './verification/peppers.ts';
import { Secrets } from './verification/secrets.ts';
import { UsageRecorder } from './verification/usage.ts';
import { Verifier } from './verification/verifier.ts';
import type { Worker } from './workers/worker.ts';

/** Characters of records kept in memory: a hundred thousand keys of the usual size. */
const CACHE_SIZES = { secrets: 20_000_000, keys: 60_000_000, owners: 10_000_000 };
/** How long an answer of the readiness check holds. */
const READY_MS = 1000;
/** How long calls that run may go on when the service stops. */
const GRACE_MS = 10_000;
/** How long it is tried then to record the uses that were counted. */
const USAGE_GRACE_MS = 8000;

export interface App {
  /** `host:port`, with the ports that were really taken. */
  readonly grpcAddress: string;
  readonly httpAddress: string;
  readonly log: Log;
  readonly roots: RootReport;
  /** Absent where there is no Redis. */
  readonly leaseHeld?: boolean;
  /** Takes no new work, finishes what runs, records what was counted, closes the store. */
  stop(): Promise<void>;
}

/**
 * Starts the service.
 *
 * @param worker set where this process is one of several behind the same ports.
 * @throws StoreInUse, StoreUnusable, CannotListen or a Failure for missing peppers, each with one line for the operator.
 */
export async function startApp(settings: Settings, worker?: Worker): Promise<App> {
  const log = createLog({ level: settings.logLevel, ...optional('worker', worker?.number) });
  const store = await openStore(settings.mongodbUri ?? settings.data);
  let coherence: Coherence | undefined;
  try {
    const metrics = new Metrics();
    const onConfirmed = (ms: number) => metrics.changeConfirmed(ms / 1000);
    coherence = await startCoherence(store, settings, CACHE_SIZES, log, onConfirmed);
    return await startOver(store, coherence, settings, log, metrics, worker?.page(metrics) ?? metrics);
  } catch (error) {
    await coherence?.stop();
    await store.close();
    throw error;
  }
}

async function startOver(
  store: KeyStore,
  coherence: Coherence,
  settings: Settings,
  log: Log,
  metrics: Metrics,
  page: MetricsPage,
): Promise<App> {
  const now = Date.now;
  const { cached, feed } = coherence;
  const onUnpublished = (err: unknown) => log.warn({ err }, 'an audit event is left pending');
  const changes = new Changes(cached, now, onUnpublished, { record: store, spread: coherence.spread });
  const secrets = new Secrets(settings.peppers);
  const uncounted = new Trouble({ tell: (err) => log.warn({ err }, 'usage is not recorded yet') });
  const usage = new UsageRecorder(store, (error) => uncounted.happened(error));
  const record = withBoundedLookups(store, (keyspace, lookup) => cached.knownSecret(keyspace, lookup));
  const verifier = new Verifier({ cached, record, secrets, usage, now });
  const unmarked = new Trouble({ tell: (err) => log.warn({ err }, 'revoked keys are not marked yet') });
  const marking = new Marking({ store, changes, now, onError: (error) => unmarked.happened(error) });
  const parts: Parts = { store, changes, marking, secrets, usage, verifier, now };

  await patiently(() => publishPending(store, changes, onUnpublished));
  await patiently(() => ensureKeyspaces(parts));
  await patiently(() => requirePeppers(store, settings.peppers, now()));

  const { macKey } = await patiently(() => store.readRegistry());

  watchMemory(metrics, cached);
  if (coherence.replica !== undefined) watchReplica(metrics, coherence.replica);
  metrics.watch(
    'gatehouse_usage_dropped_total',
    'Uses not counted: the store was away too long',
    'reason',
    () => ({
      store_unavailable: usage.dropped,
    }),
  );
  const verifyLog = new VerifyLog({
    log,
    mode: settings.logVerify,
    now: () => performance.now(),
    later: unrefTimer,
  });
  const callers = new Callers({ verifier, access: settings.verifyAccess, now });
  const answers = new PlainAnswers(verifier);
  const pipeline = createPipeline({
    routes: (router) => {
      router.service(
        AuthService,
        authService({ verifier, access: settings.verifyAccess, feed, macKey, now }),
      );
      router.service(KeyService, keyService(parts));
      router.service(KeyspaceService, keyspaceService(parts));
      router.service(OwnerService, ownerService(parts));
    },
    authenticate: (token, options) => authenticate(verifier, usage, now, token, options),
    verifyAccess: settings.verifyAccess,
    log,
    verifyLog,
    metrics,
    streams: new StreamLane(callers, answers),
  });
  const lane = new VerifyLane({ callers, answers, usage, callLog: pipeline.callLog, metrics });
  const servers = await startServers({
    pipeline,
    lane,
    host: settings.host,
    grpcPort: settings.grpcPort,
    httpPort: settings.httpPort,
    tls: settings.tls,
    checkReady: readiness(store, coherence, log),
    metrics: page,
    log,
  });
  pipeline.warm().catch((err: unknown) => log.error({ err }, 'the rules of the contract do not compile'));
  // After the ports, so that a start which fails at them has not used up the one print of the root key.
  const roots = await ensureRoot(parts, settings.rootKey).catch(async (error: unknown) => {
    await servers.drain(0);
    throw error;
  });
  const unpublished = new Trouble({
    tell: (err) =>
      log.warn({ err }, 'pending events could not be looked for or published; the next sweep tries again'),
    over: () => log.info('the store answers again'),
  });
  const sweep = new PendingSweep(
    store,
    changes,
    () => performance.now(),
    (error) => unpublished.happened(error),
    () => unpublished.ended(),
  );
  marking.watch();
  log.info({ grpc_port: servers.grpcPort, http_port: servers.httpPort }, 'listening');

  return {
    grpcAddress: servers.grpcAddress,
    httpAddress: servers.httpAddress,
    log,
    roots,
    ...optional('leaseHeld', coherence.replica?.held),
    async stop() {
      await servers.drain(GRACE_MS);
      await sweep.stop();
      await marking.stop();
      verifyLog.flush();
      try {
        const lost = await usage.close(USAGE_GRACE_MS);
        if (lost > 0) log.error({ uses: lost }, 'uses were not recorded: the store did not answer in time');
      } finally {
        await coherence.stop();
        await cached.close();
      }
      log.info('stopped');
    },
  };
}

/** What is counted where it happens, for whoever scrapes it. */
function watchMemory(metrics: Metrics, { keys, secrets, owners, keyspaces, unleased }: CachedKeyStore): void {
  const records = { key: keys, secret: secrets, owner: owners, keyspace: keyspaces };
  const counted = (field: 'hits' | 'shared' | 'misses') => () =>
    Object.fromEntries(Object.entries(records).map(([record, cache]) => [record, cache[field]]));
  metrics.watch('gatehouse_cache_hits_total', 'Records answered from memory', 'record', counted('hits'));
  metrics.watch(
    'gatehouse_cache_shared_hits_total',
    'Records answered from Redis',
    'record',
    counted('shared'),
  );
  metrics.watch('gatehouse_cache_misses_total', 'Records read from the store', 'record', counted('misses'));
  metrics.watch('gatehouse_reads_without_lease_total', 'Records read without a lease', 'from', () => ({
    store: unleased.asked,
    memory: unleased.kept,
  }));
}

/** Whether this replica may answer from memory, and how long changes take to be true everywhere. */
function watchReplica(metrics: Metrics, replica: Replica): void {
  const { counts } = replica;
  metrics.measure(
    'gatehouse_lease_held',
    'Whether records are answered from memory and Redis (1) or from the store (0)',
    () => (replica.held ? 1 : 0),
  );
  metrics.watch(
    'gatehouse_lease_lapses_total',
    'Leases that were lost, by cause',
    'cause',
    () => counts.lapses,
  );
  metrics.watch(
    'gatehouse_changes_total',
    'Changes by whether all replicas confirmed them',
    'outcome',
    () => ({
      confirmed: counts.confirmed,
      unconfirmed: counts.unconfirmed,
    }),
  );
  metrics.measure(
    'gatehouse_replicas',
    'Replicas that share the Redis, as this one saw them last; 0 while it has no lease',
    () => replica.replicas,
  );
  metrics.watch('gatehouse_replicas_removed_total', 'Replicas that fell silent', 'cause', () => ({
    silent: counts.removed,
  }));
}

/**
 * What is not ready. Asked without a key, so the store's small write is made once a second, however many ask.
 *
 * A replica among others goes on answering for the keys that it knows while the store is away, with a lease or as a keyspace
 * trades, so it must not be taken out of service then: all of them would be at once.
 */
function readiness(
  store: KeyStore,
  { cached, replica }: Coherence,
  log: Log,
): () => Promise<readonly string[]> {
  const trouble = new Trouble({ tell: (err) => log.warn({ err }, 'the store is not ready') });
  let asked: { readonly time: number; readonly answer: Promise<readonly string[]> } | undefined;
  const ask = async () => {
    try {
      await store.ping();
      return [];
    } catch (err) {
      trouble.happened(err);
      return replica !== undefined && cached.answers ? [] : ['store'];
    }
  };
  return () => {
    const time = performance.now();
    if (asked === undefined || time - asked.time >= READY_MS) asked = { time, answer: ask() };
    return asked.answer;
  };
}
