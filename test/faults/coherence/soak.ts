/** Changes, faults and questions by chance for a while, decided by a seed, and what was wrong in the end. */

import { setTimeout } from 'node:timers/promises';
import type { Credential } from './checker.ts';
import { Clients, type TestKey } from './clients.ts';
import type { Cluster, Replica } from './cluster.ts';
import { harmReplica, harmServer } from './harm.ts';
import { type Choices, choicesOf } from './random.ts';
import { refusedWithin, within } from './scenario.ts';
import { WAYS } from './ways.ts';

export interface SoakOptions {
  readonly seed: number;
  readonly seconds: number;
  /** Told of each fault once it is over. */
  readonly onFault?: (what: string) => void;
}

export interface SoakReport {
  readonly violations: readonly string[];
  /** How calls ended, by what they were. */
  readonly counts: Readonly<Record<string, number>>;
  readonly faults: number;
  /** Of each replica. */
  readonly memory: readonly Size[];
}

/** What a process takes. */
export interface Size {
  readonly replica: string;
  /** In kibibytes, of each quarter of the time: the median, since collections of garbage come and go. */
  readonly quarters: readonly number[];
  /** Whether it is one process throughout; one that was killed meanwhile began anew, and says nothing. */
  readonly throughout: boolean;
}

/** Of what it takes in the second quarter, what a process may take in the last one, and kibibytes on top of that. */
const GROWTH = 1.1;
const GROWTH_KIB = 8 * 1024;

/** Whether a process keeps more and more: only where it had minutes to come to its usual size. */
export function grows({ quarters: [, half = 0, , end = 0], throughout }: Size): boolean {
  return throughout && end > GROWTH * half + GROWTH_KIB;
}

/** Keys that are good at one time, and of those that are not, the last ones. */
const LIVE = 30;
const DEAD = 60;
/** Questions are most telling about what changed last. */
const FRESH = 6;
const CHANGERS = 2;
const ASKERS = 4;
/** Callers with keys of their own that have connections, those of late; of so many questions one is theirs. */
const CALLERS = 4;
const OF_A_CALLER = 8;
/** Milliseconds from one question of an asker to its next. */
const ASK_MS = 8;
const SAMPLE_MS = 1000;
/** Milliseconds within which all must be as it should be when nothing is harmed any more, on a busy machine. */
const SETTLED_MS = 30_000;

export async function soak(cluster: Cluster, { seed, seconds, onFault }: SoakOptions): Promise<SoakReport> {
  const world = new World(cluster);
  await world.begin();
  const samples = cluster.replicas.map((): Sample[] => []);
  const sampling = setInterval(() => {
    for (const [index, { pid, memory }] of cluster.replicas.entries()) samples[index]?.push({ pid, memory });
  }, SAMPLE_MS);
  const end = performance.now() + 1000 * seconds;
  const running = () => performance.now() < end;
  let faults = 0;
  const harm = async (choices: Choices, work: typeof harmReplica) => {
    while (running()) {
      const what = await work(cluster, choices);
      faults++;
      onFault?.(what);
    }
  };
  const changes = Array.from({ length: CHANGERS }, async (_, lane) => {
    const choices = choicesOf(seed, 10 + lane);
    while (running()) {
      await world.change(choices);
      await setTimeout(choices.between(5, 80));
    }
  });
  const questions = cluster.replicas.flatMap((replica, index) =>
    Array.from({ length: ASKERS }, async (_, lane) => {
      const choices = choicesOf(seed, 100 + 10 * index + lane);
      while (running()) await world.ask(replica, choices);
    }),
  );
  try {
    await Promise.all([
      harm(choicesOf(seed, 1), harmReplica),
      harm(choicesOf(seed, 2), harmServer),
      ...changes,
      ...questions,
    ]);
  } finally {
    clearInterval(sampling);
  }
  await cluster.heal();
  await cluster.leased(SETTLED_MS);
  await world.settled();
  const { violations, counts } = world.clients;
  const memory = cluster.replicas.map(({ name }, index) => sizeOf(name, samples[index] ?? []));
  return { violations, counts, faults, memory };
}

interface Sample {
  readonly pid: number;
  readonly memory: number;
}

function sizeOf(replica: string, samples: readonly Sample[]): Size {
  const length = Math.floor(samples.length / 4);
  const quarters = [0, 1, 2, 3].map((quarter) => {
    const sizes = samples.slice(quarter * length, (quarter + 1) * length).map(({ memory }) => memory);
    return sizes.sort((one, other) => one - other)[Math.floor(length / 2)] ?? 0;
  });
  return { replica, quarters, throughout: samples.every(({ pid }) => pid === samples[0]?.pid) };
}

/** The keys that there are. */
class World {
  readonly clients: Clients;
  readonly #cluster: Cluster;
  readonly #live: TestKey[] = [];
  #dead: Credential[] = [];
  #fresh: Credential[] = [];
  /** Taken away, as it was told, although nobody confirmed it. */
  readonly #unconfirmed: Credential[] = [];
  /** Most of them were revoked while their streams were open. */
  readonly #callers: TestKey[] = [];
  #owners = 0;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.clients = new Clients(cluster);
  }

  async begin(): Promise<void> {
    while (this.#live.length < LIVE / 2) this.#live.push(await this.clients.create(this.#cluster.at(0)));
    await this.clients.warm(this.#live);
  }

  async ask(replica: Replica, choices: Choices): Promise<void> {
    const live = this.#live.map(({ credential }) => credential);
    // Most of them about what changed last.
    const lists = [this.#fresh, this.#fresh, this.#fresh, live, this.#dead];
    const list = choices.oneOf(lists.filter((one) => one.length > 0));
    const begun = performance.now();
    const isOfCaller = choices.between(1, OF_A_CALLER) === 1 && this.#callers.length > 0;
    const asking = isOfCaller ? { caller: choices.oneOf(this.#callers) } : {};
    const { answer } = await this.clients.verify(replica, choices.oneOf(list), asking);
    const pause = answer === 'none' ? 5 * ASK_MS : ASK_MS - (performance.now() - begun);
    await setTimeout(Math.max(1, pause));
  }

  /** One change of any kind, by any replica. */
  async change(choices: Choices): Promise<void> {
    const replica = choices.oneOf(this.#cluster.replicas);
    const what = choices.weighted({
      create: 6,
      revoke: 4,
      rotate: 3,
      disable: 2,
      rename: 2,
      owner: 3,
      keyspace: 1,
      caller: 2,
    });
    const room = this.#live.length < LIVE;
    if (what === 'caller') return this.#caller(replica, choices);
    if (what === 'owner' || what === 'keyspace') return this.#many(replica, choices, what);
    if ((what === 'create' && room) || this.#live.length === 0) {
      const key = await this.clients.tryCreate(replica);
      if (key !== undefined) this.#keep(key);
      return;
    }
    const key = this.#live.splice(choices.between(0, this.#live.length - 1), 1)[0];
    if (key === undefined) return;
    const old = key.credential;
    if (what === 'rename') {
      await this.clients.rename(replica, key);
      this.#keep(key);
    } else if (what === 'rotate') {
      await this.clients.rotate(replica, key);
      this.#ended(old);
      // Where it is not known whether there is another secret, nothing can be said of the key.
      if (key.credential !== old) this.#keep(key);
    } else {
      const answer = await this.clients[what === 'disable' ? 'disable' : 'revoke'](replica, key);
      if (answer.reason === 'PROPAGATION_UNCONFIRMED') this.#unconfirmed.push(old);
      this.#ended(old);
    }
    this.#askAll(old);
  }

  /** Takes away all keys of an owner or of a keyspace by one call. */
  async #many(replica: Replica, choices: Choices, what: 'owner' | 'keyspace'): Promise<void> {
    const { clients } = this;
    const maker = choices.oneOf(this.#cluster.replicas);
    const owner = what === 'owner' ? { kind: 'user', id: `o${this.#owners++}` } : undefined;
    const keyspace = owner === undefined ? await clients.tryCreateKeyspace(maker) : 'default';
    if (keyspace === undefined) return;
    const made = [
      await clients.tryCreate(maker, owner, keyspace),
      await clients.tryCreate(maker, owner, keyspace),
    ];
    const keys = made.filter((one) => one !== undefined);
    for (const { credential } of keys) this.#askAll(credential);
    await setTimeout(choices.between(1, 100));
    const how = choices.oneOf(['revokeOwner', 'disableOwner', 'endBefore'] as const);
    if (owner === undefined) await clients.revokeKeyspace(replica, keyspace, keys);
    else await clients[how](replica, owner, keys);
    for (const { credential } of keys) {
      this.#ended(credential);
      this.#askAll(credential);
    }
  }

  /** A caller that is revoked while it has streams and connections open. */
  async #caller(replica: Replica, choices: Choices): Promise<void> {
    const caller = await this.clients.tryCreateCaller(choices.oneOf(this.#cluster.replicas));
    if (caller === undefined) return;
    this.#callers.unshift(caller);
    for (const { credential } of this.#callers.splice(CALLERS))
      this.#cluster.grpcCaller.leave(credential.secret);
    this.#askAs(caller);
    await setTimeout(choices.between(1, 200));
    await this.clients.revoke(replica, caller);
    this.#askAs(caller);
  }

  /** By every way. */
  #askAs(caller: TestKey): void {
    const [about] = this.#fresh;
    if (about === undefined) return;
    for (const replica of this.#cluster.replicas)
      for (const way of WAYS) void this.clients.verify(replica, about, { way, caller });
  }

  /** Asks every replica at once; those that are stopped answer later. */
  #askAll(credential: Credential): void {
    for (const replica of this.#cluster.replicas) void this.clients.verify(replica, credential);
  }

  #keep(key: TestKey): void {
    this.#live.push(key);
    this.#fresh = [key.credential, ...this.#fresh].slice(0, FRESH);
  }

  #ended(credential: Credential): void {
    this.#dead = [credential, ...this.#dead].slice(0, DEAD);
    this.#fresh = [credential, ...this.#fresh].slice(0, FRESH);
  }

  /** What was told to apply has come to apply, and what is good works, on each replica. */
  async settled(): Promise<void> {
    for (const replica of this.#cluster.replicas) {
      for (const one of this.#unconfirmed) await refusedWithin(this.clients, replica, one, SETTLED_MS);
      for (const { credential } of this.#live) {
        await within(`${replica.name} accepts ${credential.name}`, SETTLED_MS, async () => {
          return (await this.clients.verify(replica, credential)).answer === 'valid';
        });
      }
      for (const one of this.#dead) await this.clients.answered(replica, one);
    }
  }
}
