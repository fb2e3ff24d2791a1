/** Replicas of the service over one store and one Redis, each with links of its own to both, all of which can be harmed. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { MONGOD, type MongoServer, startMongo } from '../../support/mongodb.ts';
import { REDIS, type RedisServer, startRedis } from '../../support/redis.ts';
import { type Link, link } from '../link.ts';
import { FAKETIME, SteppedClock } from './clocks.ts';
import { GrpcCaller } from './grpc-caller.ts';
import { Caller, MAIN, residentSize, type Service, startService } from './service.ts';

export const ROOT_KEY = 'ghm_root-key-of-the-tests-0123456789-abcdef';
/** Seconds for which a Redis that lost its copies takes writes (and up to two more, since it counts by whole ones). */
const MAX_LAG = 2;
const COPIED = ['--min-replicas-to-write', '1', '--min-replicas-max-lag', String(MAX_LAG)];
/** Milliseconds within which a replica whose links are whole must have its lease again. */
const RECOVERY_MS = 20_000;

export interface ClusterOptions {
  /** 3 unless told. */
  readonly replicas?: number;
  /** The programs of the servers. */
  readonly redis?: string;
  readonly mongod?: string;
  /** The program of the replicas; a copy of it may be broken on purpose. */
  readonly main?: string;
  /** Servers that copy Redis, which takes writes only while it has one of them; 0 unless told. */
  readonly copies?: number;
  /** Whether the clocks of the replicas and of Redis can be stepped, by libfaketime; false unless told. */
  readonly clocks?: boolean;
  /** The library; the one that the set-up found unless told. */
  readonly faketime?: string;
  /** Whether the replicas know of Redis; true unless told. */
  readonly withRedis?: boolean;
  /** Milliseconds that a call of the store may take: on a busy machine the tests' server needs more than the default. */
  readonly storeMs?: number;
  /** More settings of the replicas. */
  readonly env?: Readonly<Record<string, string>>;
}

type StartOne = (
  mongoPort: number,
  redisPort: number,
  env: Readonly<Record<string, string>>,
) => Promise<Service>;

function steppable(clock: SteppedClock | undefined): SteppedClock {
  if (clock === undefined) throw new Error('this cluster has no clocks that can be stepped');
  return clock;
}

/** One replica and its links. */
export class Replica {
  readonly name: string;
  readonly toRedis: Link;
  readonly toStore: Link;
  readonly #clock: SteppedClock | undefined;
  readonly #start: () => Promise<Service>;
  #service: Service | undefined;
  paused = false;

  constructor(
    name: string,
    toRedis: Link,
    toStore: Link,
    start: () => Promise<Service>,
    clock: SteppedClock | undefined,
  ) {
    this.name = name;
    this.toRedis = toRedis;
    this.toStore = toStore;
    this.#start = start;
    this.#clock = clock;
  }

  get clock(): SteppedClock {
    return steppable(this.#clock);
  }

  /** Where it listens, or did before it was killed. */
  get http(): string {
    return this.#service?.http ?? 'http://127.0.0.1:1';
  }

  /** The same over gRPC: `127.0.0.1:port`. */
  get grpc(): string {
    return this.#service?.grpc ?? '127.0.0.1:1';
  }

  get pid(): number {
    return this.#service?.pid ?? 0;
  }

  /** Kibibytes. */
  get memory(): number {
    return residentSize(this.pid);
  }

  get output(): string {
    return this.#service?.output() ?? '';
  }

  async start(): Promise<void> {
    this.#service = await this.#start();
  }

  /** From now on it runs no further; its connections stay, and what is sent to it queues. */
  pause(): void {
    this.paused = true;
    this.#service?.signal('SIGSTOP');
  }

  resume(): void {
    this.paused = false;
    this.#service?.signal('SIGCONT');
  }

  async kill(): Promise<void> {
    await this.#service?.kill();
    this.paused = false;
  }

  /** Ends it as whoever runs it would. */
  async end(): Promise<void> {
    await this.#service?.end();
  }

  /** Whether it may answer from memory. */
  async leased(): Promise<boolean> {
    return (await this.metric('gatehouse_lease_held')) === 1;
  }

  /** For whoever has to find out why it does not do what it should. */
  async state(): Promise<string> {
    const lease = (await this.metric('gatehouse_lease_held')) ?? 'not told';
    const stopped = this.paused ? ', stopped' : '';
    return `${this.name}, process ${this.pid} of ${this.memory} KiB${stopped}, gatehouse_lease_held ${lease}; it printed ${this.output.slice(-2000)}`;
  }

  /** One number of its metrics; undefined where it does not tell. */
  async metric(name: string): Promise<number | undefined> {
    try {
      const response = await fetch(`${this.http}/metrics`, { signal: AbortSignal.timeout(2000) });
      const [, value] = new RegExp(`^${name} (\\S+)$`, 'm').exec(await response.text()) ?? [];
      return value === undefined ? undefined : Number(value);
    } catch {
      return undefined;
    }
  }
}

export class Cluster {
  readonly replicas: readonly Replica[];
  readonly store: MongoServer;
  readonly caller = new Caller();
  readonly grpcCaller = new GrpcCaller();
  /** The link over which copies of Redis follow the first master. */
  readonly copying: Link;
  /** The master first. */
  readonly #redis: RedisServer[];
  readonly #folder: string;
  readonly #startOne: StartOne;
  readonly #redisClock: SteppedClock | undefined;

  private constructor(
    replicas: readonly Replica[],
    redis: readonly RedisServer[],
    copying: Link,
    store: MongoServer,
    folder: string,
    startOne: StartOne,
    redisClock: SteppedClock | undefined,
  ) {
    this.replicas = replicas;
    this.#redis = [...redis];
    this.copying = copying;
    this.store = store;
    this.#folder = folder;
    this.#startOne = startOne;
    this.#redisClock = redisClock;
  }

  /** Starts all of it, and waits until every replica has its lease. */
  static async start(options: ClusterOptions = {}): Promise<Cluster> {
    const { replicas = 3, copies = 0, main = MAIN, withRedis = true, storeMs = 5000 } = options;
    const folder = mkdtempSync(join(tmpdir(), 'gatehouse-cluster-'));
    const args = copies === 0 ? [] : COPIED;
    const clockOf = (name: string) =>
      options.clocks === true ? new SteppedClock(options.faketime ?? FAKETIME, folder, name) : undefined;
    const redisClock = clockOf('redis');
    const program = redisClock?.programFor(options.redis ?? REDIS) ?? options.redis ?? REDIS;
    const [redis, store] = await Promise.all([
      startRedis(program, { args }),
      startMongo(options.mongod ?? MONGOD, { uriOptions: `&timeoutMS=${storeMs}` }),
    ]);
    const copying = await link(redis.port);
    const servers = [redis];
    while (servers.length <= copies) {
      servers.push(await startRedis(program, { args, replicaOf: copying }));
    }
    const startOne: StartOne = (mongoPort, redisPort, env) => {
      const mongo = new URL(store.uri('cluster'));
      mongo.port = String(mongoPort);
      const settings = {
        MONGODB_URI: mongo.href,
        ...(withRedis ? { REDIS_URL: `redis://127.0.0.1:${redisPort}` } : {}),
        GATEHOUSE_ROOT_KEY: ROOT_KEY,
        GATEHOUSE_VERIFY_ACCESS: 'open',
        GATEHOUSE_LOG_LEVEL: 'error',
        GATEHOUSE_LOG_VERIFY: 'none',
        ...options.env,
        ...env,
      };
      return startService(main, settings, folder);
    };
    const nodes: Replica[] = [];
    for (let index = 0; index < replicas; index++) {
      const toRedis = await link(redis.port);
      const toStore = await link(Number(new URL(store.uri('cluster')).port));
      const name = `r${index}`;
      const clock = clockOf(name);
      const start = () => startOne(toStore.port, toRedis.port, { ...clock?.env });
      nodes.push(new Replica(name, toRedis, toStore, start, clock));
    }
    const cluster = new Cluster(nodes, servers, copying, store, folder, startOne, redisClock);
    try {
      // The first one makes the keyspaces.
      for (const node of nodes) await node.start();
      if (withRedis) await cluster.leased();
    } catch (error) {
      await cluster.remove();
      throw error;
    }
    return cluster;
  }

  /** The master. */
  get redis(): RedisServer {
    const [master] = this.#redis;
    if (master === undefined) throw new Error('there is no Redis');
    return master;
  }

  get redisClock(): SteppedClock {
    return steppable(this.#redisClock);
  }

  /** Whether clocks can be stepped. */
  get hasClocks(): boolean {
    return this.#redisClock !== undefined;
  }

  /** Makes the first copy of Redis the master, whom the other copies follow. The old one is told nothing. @returns that one. */
  async promote(): Promise<RedisServer> {
    const [old, master, ...copies] = this.#redis;
    if (old === undefined || master === undefined) throw new Error('Redis has no copy');
    this.#redis.splice(0, 2, master);
    await master.command('REPLICAOF', 'NO', 'ONE');
    for (const copy of copies) await copy.command('REPLICAOF', '127.0.0.1', master.port);
    return old;
  }

  /** A server that was the master before comes back as a copy of the one of now. */
  async demote(old: RedisServer): Promise<void> {
    await old.kill();
    await old.start('--replicaof', '127.0.0.1', String(this.redis.port));
    this.#redis.push(old);
  }

  /** One of the replicas. */
  at(index: number): Replica {
    const replica = this.replicas[index];
    if (replica === undefined) throw new Error(`there is no replica ${index}`);
    return replica;
  }

  /** Starts one more replica, with more settings, which has no links of its own. Whoever asked for it ends it. */
  another(env: Readonly<Record<string, string>>): Promise<Service> {
    return this.#startOne(Number(new URL(this.store.uri('cluster')).port), this.redis.port, env);
  }

  /** Nothing is in the way any more: all runs that was stopped or killed. */
  async heal(): Promise<void> {
    if (this.hasClocks) for (const { clock } of [...this.replicas, { clock: this.redisClock }]) clock.step(0);
    this.redis.resume();
    this.resumeStore();
    for (const replica of this.replicas) {
      if (replica.paused) replica.resume();
      replica.toRedis.lead(this.redis.port);
      await replica.toRedis.restore();
      await replica.toStore.restore();
    }
    await this.copying.restore();
  }

  /** Waits until every replica has its lease. @throws Error where one has none for long. */
  async leased(ms = RECOVERY_MS): Promise<void> {
    const end = performance.now() + ms;
    for (const replica of this.replicas) {
      while (!(await replica.leased())) {
        if (performance.now() > end) throw new Error(`no lease after ${ms} ms: ${await replica.state()}`);
        await setTimeout(20);
      }
    }
  }

  pauseStore(): void {
    if (this.store.pid !== undefined) process.kill(this.store.pid, 'SIGSTOP');
  }

  resumeStore(): void {
    try {
      if (this.store.pid !== undefined) process.kill(this.store.pid, 'SIGCONT');
    } catch {
      // It is dead.
    }
  }

  async remove(): Promise<void> {
    this.caller.close();
    this.grpcCaller.close();
    for (const replica of this.replicas) {
      await replica.kill();
      replica.toRedis.close();
      replica.toStore.close();
    }
    await Promise.all([...this.#redis, this.store].map((server) => server.remove()));
    this.copying.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
