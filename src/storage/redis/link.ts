/** The connections to Redis: one for commands, one that only listens for hints. */

import { Redis, type RedisOptions } from 'ioredis';
import { SCRIPTS } from './scripts.ts';

/** Milliseconds that a command may take; a reader of a record waits for less (slots.ts). */
const COMMAND_MS = 400;
const CONNECT_MS = 1000;
/** Milliseconds between two tries to connect, at most. */
const RETRY_MS = 500;
/** Milliseconds that a connection holds which is worth being made anew at once. */
const STEADY_MS = 1000;
/** What a server says that is not, or may be no more, the master: its name may lead to another one by now. */
const NOT_MASTER = /\b(READONLY|NOREPLICAS)\b/;
/** A listener hears nothing for hours, so only a question shows that its connection is dead. */
const LISTENER_CHECK_MS = 2000;
/** What a server says that takes no such user or password. */
const REFUSED = /^(WRONGPASS|NOAUTH)\b/;
/** ... that lets a user not do what he asks for: by itself, and in a script of Redis 6.2 and of later ones. */
const FORBIDDEN = /\bNOPERM\b|executing the script can't|ACL failure in script/;
const FORBIDDEN_COMMAND = /'([\w|-]+)' command/;
/** ... that has fewer databases. */
const NO_DATABASE = /(DB index is out of range|invalid DB index)/;
const OLDEST_VERSION = [6, 2];
/** Seconds: Redis's own default. */
const DEFAULT_MAX_LAG = 10;
/** Replicas report once a second, and are counted as often. */
const SETTLE_MARGIN_MS = 2000;

/** One change of one record, in the order in which they were announced. */
export interface LogEntry {
  readonly number: number;
  readonly record: string;
  readonly keyspace: string;
  readonly revision: number;
  /** Milliseconds since 1970 by the clock of who announced it: for people. */
  readonly time: number;
  /** The record only says now what an owner's or a keyspace's has said before it. */
  readonly isMark?: boolean;
}

/** What a replica says of itself. */
export interface Standing {
  readonly id: string;
  /** The epoch that it knows; empty: none. */
  readonly epoch: string;
  /** Number of the last entry that it has applied. */
  readonly applied: number;
  /** How many syncs it has sent, so that no two are alike. */
  readonly syncs: number;
}

export interface SyncReply {
  readonly epoch: string;
  /** Number of the last entry. */
  readonly last: number;
  /** Those after the one that was said to be applied, in the same epoch; at most a page of them. */
  readonly entries: readonly LogEntry[];
}

export interface AnnounceReply {
  readonly epoch: string;
  /** Number of the last entry of this announcement. */
  readonly last: number;
  /** What each replica noted last: `<entry that it has applied>/<syncs>`. */
  readonly members: ReadonlyMap<string, string>;
}

export type Announcement = Pick<LogEntry, 'record' | 'keyspace' | 'revision' | 'isMark'>;

/** What a reader finds in a slot, or leaves there. */
export type Taken =
  | { readonly value: string; readonly restMs: number }
  | { readonly token: string }
  /** The epoch of the slot is over. */
  | undefined;

/** A Redis that cannot be used however long one waits; the message is the line for the operator. */
export class RedisUnusable extends Error {}

type Scripted = Redis & Record<keyof typeof SCRIPTS, (...values: string[]) => Promise<unknown>>;

export class RedisLink {
  readonly #commands: Scripted;
  readonly #listener: Redis;
  #domain: string | undefined;
  readonly #onError: (error: unknown) => void;
  readonly #onAnswered: () => void;
  readonly #checkListener: NodeJS.Timeout;
  /** Whether the connection of now was looked at, and may be used. */
  #fit = false;
  #readyAt = Number.NEGATIVE_INFINITY;
  #settleMs = 0;
  #unfit: RedisUnusable | undefined;
  /** Whether it was Redis that would not do what was asked last. */
  #refused = false;
  readonly #tls: boolean;

  /**
   * @param url redis:// or rediss://, with user and password.
   * @param domain what the replicas over one store share, whose keys are named by it; undefined: it is yet to be entered.
   * @param onError told of what goes wrong with the connections.
   * @param onAnswered told when Redis answers: at first, and after what went wrong.
   */
  constructor(
    url: string,
    domain: string | undefined,
    onError: (error: unknown) => void,
    onAnswered: () => void = () => undefined,
  ) {
    this.#domain = domain;
    this.#onError = onError;
    this.#onAnswered = onAnswered;
    this.#tls = url.startsWith('rediss:');
    const options = {
      connectionName: 'gatehouse',
      connectTimeout: CONNECT_MS,
      commandTimeout: COMMAND_MS,
      // The check of the service's own asks for the same, and says what it is that Redis does not allow.
      enableReadyCheck: false,
      // Nothing waits for a connection, and nothing is sent twice: who asks decides whether to ask again.
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      // It would await no answer, so that a connection which breaks then ends the process.
      autoResubscribe: false,
      retryStrategy: (times: number) => Math.min(50 * times, RETRY_MS),
      keepAlive: 1000,
    } satisfies RedisOptions;
    this.#commands = new Redis(url, {
      ...options,
      // Syncs come every 50 ms, so that silence means a dead connection.
      socketTimeout: CONNECT_MS,
      reconnectOnError: ({ message }) => NOT_MASTER.test(message),
      retryStrategy: (times) =>
        performance.now() - this.#readyAt < STEADY_MS ? RETRY_MS : options.retryStrategy(times),
      scripts: SCRIPTS,
    }) as Scripted;
    this.#listener = new Redis(url, { ...options, connectionName: 'gatehouse-hints' });
    for (const one of [this.#commands, this.#listener]) one.on('error', (error) => this.#report(error));
    this.#commands.on('ready', () => {
      this.#readyAt = performance.now();
      this.#check().then(
        () => {
          this.#fit = true;
          this.#refused = false;
          onAnswered();
        },
        (error: unknown) => {
          this.#report(error);
          this.#commands.disconnect(true);
        },
      );
    });
    this.#commands.on('close', () => {
      this.#fit = false;
    });
    this.#listener.on('ready', () => {
      this.#listen();
      if (this.#fit && !this.#refused) onAnswered();
    });
    this.#checkListener = setInterval(() => {
      if (this.#listener.status !== 'ready') return;
      this.#listener.ping().catch(() => this.#listener.disconnect(true));
    }, LISTENER_CHECK_MS);
    this.#checkListener.unref();
  }

  /** Whether the server can be asked now. */
  get connected(): boolean {
    return this.#fit;
  }

  /** Whether commands may be sent now, to the domain. */
  get ready(): boolean {
    return this.#fit && this.#domain !== undefined;
  }

  /** Names the domain, once. */
  enter(domain: string): void {
    this.#domain = domain;
    if (this.#listener.status === 'ready') this.#listen();
  }

  /** Why this Redis may not be used at all, where that was found. */
  get unfit(): RedisUnusable | undefined {
    return this.#unfit;
  }

  /**
   * Milliseconds from the beginning of an epoch for which another master may still go on in the one before: a master that
   * was cut off from its replicas does so until it misses them (`min-replicas-max-lag`). 0 for a server without replicas.
   */
  get settleMs(): number {
    return this.#settleMs;
  }

  /** Whether this Redis carries a domain; undefined: it cannot be asked now. */
  async carries(domain: string): Promise<boolean | undefined> {
    if (!this.#fit) return undefined;
    return this.#commands.exists(`${prefixOf(domain)}members`).then(
      (count) => count === 1,
      (error: unknown) => {
        this.#reportRefusal(error);
        return undefined;
      },
    );
  }

  /** Calls back when a change was announced; some are lost. */
  onHint(listener: () => void): void {
    this.#listener.on('message', listener);
  }

  /** Notes what a replica has applied, and gives what came after. */
  async sync(replica: Standing, nonce: string): Promise<SyncReply> {
    const { id, epoch, applied, syncs } = replica;
    const reply = await this.#run(
      'gatehouseSync',
      this.#members,
      this.#log,
      nonce,
      id,
      epoch,
      String(applied),
      String(syncs),
    );
    const [now, last, entries] = reply as [string, string, [string, string[]][]];
    return { epoch: now, last: Number(last), entries: entries.map(entryOf) };
  }

  /** Begins another epoch, where this one is still that of now. @returns its name; undefined where it was not. */
  async renew(epoch: string, nonce: string): Promise<string | undefined> {
    const reply = await this.#run('gatehouseRenew', this.#members, this.#log, nonce, epoch);
    return (reply as string | null) ?? undefined;
  }

  /** Forgets the cached copies of records and puts their change into the log. */
  async announce(changes: readonly Announcement[], time: number, nonce: string): Promise<AnnounceReply> {
    const reply = await this.#run(
      'gatehouseAnnounce',
      this.#members,
      this.#log,
      this.#hints,
      nonce,
      this.#prefix,
      String(time),
      ...changes.flatMap(({ record, keyspace, revision, isMark }) => [
        record,
        keyspace,
        String(revision),
        isMark ? '1' : '',
      ]),
    );
    const [epoch, last, members] = reply as [string, string, string[]];
    return { epoch, last: Number(last), members: membersOf(members) };
  }

  /** What each replica noted last; undefined where another epoch is. */
  async members(epoch: string): Promise<ReadonlyMap<string, string> | undefined> {
    const reply = await this.#run('gatehouseMembers', this.#members);
    const [now, members = []] = reply as [string?, string[]?];
    return now === epoch ? membersOf(members) : undefined;
  }

  /** Takes a replica off the members where it has noted nothing since. @returns whether it was. */
  async remove(replica: string, noted: string): Promise<boolean> {
    return (await this.#run('gatehouseRemove', this.#members, replica, noted)) === 1;
  }

  /** Takes this replica off, which holds no lease any more. */
  async leave(replica: string): Promise<void> {
    await this.#commands.hdel(this.#members, replica);
  }

  /** What is in a record's slot; where nothing is, the token is left there. */
  async take(epoch: string, record: string, token: string): Promise<Taken> {
    const slot = `${this.#prefix}${epoch}:${record}`;
    const reply = await this.#run('gatehouseTake', this.#members, slot, epoch, token);
    const [value, restMs] = reply as [string?, number?];
    if (value === undefined) return undefined;
    return restMs === undefined ? { token: value } : { value, restMs };
  }

  /** Fills a slot in which the token still is. */
  async fill(epoch: string, record: string, token: string, value: string, ms: number): Promise<void> {
    await this.#run('gatehouseFill', `${this.#prefix}${epoch}:${record}`, token, value, String(ms));
  }

  async close(): Promise<void> {
    clearInterval(this.#checkListener);
    this.#fit = false;
    this.#listener.disconnect();
    this.#commands.disconnect();
  }

  get #prefix(): string {
    return prefixOf(this.#domain ?? '');
  }

  get #members(): string {
    return `${this.#prefix}members`;
  }

  get #log(): string {
    return `${this.#prefix}log`;
  }

  get #hints(): string {
    return `${this.#prefix}hint`;
  }

  #listen(): void {
    if (this.#domain !== undefined)
      this.#listener.subscribe(this.#hints).catch((error) => this.#report(error));
  }

  async #run(script: keyof typeof SCRIPTS, ...values: string[]): Promise<unknown> {
    if (!this.ready) throw new Error('Redis is not connected');
    try {
      const answer = await this.#commands[script](...values);
      if (this.#refused) {
        this.#refused = false;
        this.#onAnswered();
      }
      return answer;
    } catch (error) {
      // All else is told by whoever asked, or by the connection.
      this.#reportRefusal(error);
      throw error;
    }
  }

  #report(error: unknown): void {
    if (error instanceof RedisUnusable) this.#unfit = error;
    if (!this.#reportRefusal(error)) this.#onError(this.#tls ? withoutHandshake(error) : error);
  }

  /** @returns whether it was one: Redis answers, and will not do what is asked. */
  #reportRefusal(error: unknown): boolean {
    const refusal = refusalOf(error);
    if (refusal === undefined) return false;
    this.#unfit = refusal;
    this.#refused = true;
    this.#onError(refusal);
    return true;
  }

  /** @throws RedisUnusable where what the protocol rests on is not given. */
  async #check(): Promise<void> {
    const { db = 0 } = this.#commands.options;
    // The client goes on in database 0 where this fails, in an epoch of its own.
    if (db > 0) await this.#commands.select(db);
    // Nobody listens there: only whether it may be done is asked. Nothing else would show it at the start.
    await this.#commands.publish(`${prefixOf('')}hint`, '');
    const info = await this.#commands.info();
    const field = (name: string) => new RegExp(`^${name}:([^\r\n]*)`, 'm').exec(info)?.[1] ?? '';
    const version = field('redis_version');
    const [major = 0, minor = 0] = version.split('.').map(Number);
    const [leastMajor = 0, leastMinor = 0] = OLDEST_VERSION;
    if (major < leastMajor || (major === leastMajor && minor < leastMinor)) {
      throw new RedisUnusable(
        `REDIS_URL is a Redis of version ${version}; it must be ${OLDEST_VERSION.join('.')} or newer`,
      );
    }
    const policy = field('maxmemory_policy');
    if (policy.startsWith('allkeys-')) {
      throw new RedisUnusable(
        `REDIS_URL is a Redis that may evict any key (maxmemory-policy ${policy}); set noeviction or volatile-lru`,
      );
    }
    if (field('cluster_enabled') === '1') {
      throw new RedisUnusable(
        'REDIS_URL is a Redis Cluster, which is not supported; use one server or a replica set',
      );
    }
    if (field('loading') === '1') throw new Error('Redis is still loading its data');
    // While another master is being chosen this passes by itself.
    if (field('role') !== 'master') {
      throw new Error('REDIS_URL leads to a replica of Redis, not to its master');
    }
    const copies = Number(field('connected_slaves'));
    const replicas = copies > 0;
    const needed = await this.#setting('min-replicas-to-write');
    if (replicas && needed === 0) {
      throw new RedisUnusable(
        'REDIS_URL is a Redis with replicas that takes writes without them, so that two masters could be taken for one; set min-replicas-to-write to 1 or more',
      );
    }
    // Else both sides of a partition may have as many as they need.
    if (needed !== undefined && replicas && 2 * (needed + 1) <= copies + 1) {
      throw new RedisUnusable(
        `REDIS_URL is a Redis with ${copies} replicas, of which min-replicas-to-write asks for ${needed}, so that two masters could be taken for one; set it to ${Math.floor((copies + 1) / 2)} or more`,
      );
    }
    const lag = (await this.#setting('min-replicas-max-lag')) ?? DEFAULT_MAX_LAG;
    this.#settleMs = replicas || (needed ?? 0) > 0 ? 1000 * lag + SETTLE_MARGIN_MS : 0;
  }

  /** A setting of the server; undefined where it may not be asked for, as with some that are rented. */
  async #setting(name: string): Promise<number | undefined> {
    try {
      const [, value] = (await this.#commands.config('GET', name)) as [string?, string?];
      return value === undefined ? undefined : Number(value);
    } catch {
      return undefined;
    }
  }
}

/** A port without TLS says nothing to what begins it. */
function withoutHandshake(error: unknown): unknown {
  if (!(error instanceof Error && error.message === 'connect ETIMEDOUT')) return error;
  return new Error('no TLS connection in time: Redis is away, or rediss:// leads to a port without TLS', {
    cause: error,
  });
}

/** What the operator has to mend, where an answer of Redis says that. Its words may name the user, never the password. */
function refusalOf(error: unknown): RedisUnusable | undefined {
  const message = error instanceof Error ? error.message : '';
  const [, word] = REFUSED.exec(message) ?? [];
  if (word !== undefined) {
    return new RedisUnusable(
      `REDIS_URL is a Redis that refuses the user or the password given there (${word})`,
    );
  }
  if (FORBIDDEN.test(message)) {
    const [, command] = FORBIDDEN_COMMAND.exec(message) ?? [];
    const what =
      command === undefined ? 'a command, key or channel that is needed' : `the command "${command}"`;
    return new RedisUnusable(`REDIS_URL is a Redis that does not allow its user ${what} (NOPERM)`);
  }
  if (NO_DATABASE.test(message)) {
    return new RedisUnusable('REDIS_URL names a database by a number that this Redis does not have');
  }
  return undefined;
}

/** Keeps stores apart that share a Redis. */
function prefixOf(domain: string): string {
  return `gatehouse:{${domain}}:`;
}

function entryOf([id, fields]: [string, string[]]): LogEntry {
  const named = new Map<string, string>();
  for (let at = 0; at < fields.length; at += 2) named.set(fields[at] ?? '', fields[at + 1] ?? '');
  return {
    number: Number.parseInt(id, 10),
    record: named.get('r') ?? '',
    keyspace: named.get('k') ?? '',
    revision: Number(named.get('v')),
    time: Number(named.get('t')),
    ...(named.get('m') === '1' ? { isMark: true } : {}),
  };
}

/** Fields that begin with # are about all of them. */
function membersOf(fields: readonly string[]): Map<string, string> {
  const members = new Map<string, string>();
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at] ?? '';
    if (!name.startsWith('#')) members.set(name, fields[at + 1] ?? '');
  }
  return members;
}
