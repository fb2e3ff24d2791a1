/** Clients of a cluster: what they ask for is held against what they were told before, call by call. */

import { setTimeout } from 'node:timers/promises';
import { type Asked, type Credential, type Withdrawal, wrongWith } from './checker.ts';
import { type Cluster, type Replica, ROOT_KEY } from './cluster.ts';
import type { Answer } from './service.ts';
import { Turns, type Way } from './ways.ts';

/** Milliseconds within which what a replica could not tell the others reaches them by the sweep of one of these. */
export const SWEPT_MS = 6000;
/** Those that are kept to be shown. */
const MAX_SHOWN = 20;
/** No two clients of a cluster use one name. */
let names = 0;

/** A key, and the secret of it that is good now. */
export interface TestKey {
  readonly id: string;
  readonly owner: TestOwner | undefined;
  readonly keyspace: string;
  credential: Credential;
}

export interface TestOwner {
  readonly kind: string;
  readonly id: string;
}

/** How a Verify is asked. */
export interface Asking {
  /** The one whose turn it is unless told. */
  readonly way?: Way;
  /** A management key that is shown with the question; nobody's unless told. */
  readonly caller?: TestKey;
}

export class Clients {
  readonly violations: string[] = [];
  readonly counts: Record<string, number> = {};
  readonly #cluster: Cluster;
  readonly #turns = new Map<Replica, Turns>();

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** Makes a call as the holder of the root key, or of another one. */
  async call(replica: Replica, method: string, body: object, key = ROOT_KEY): Promise<Answer> {
    const answer = await this.#cluster.caller.call(replica.http, method, body, key);
    const [, name = method] = method.split('/');
    this.#count(`${name} ${answer.code}`);
    return answer;
  }

  #count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }

  /** How many Verify were left without an answer. */
  get unanswered(): number {
    const of = Object.entries(this.counts).filter(([name]) => /^Verify .* none$/.test(name));
    return of.reduce((sum, [, count]) => sum + count, 0);
  }

  /**
   * Asks about a credential, and notes where the answer is wrong: also where the caller's key is one that may not be shown
   * any more.
   */
  async verify(replica: Replica, credential: Credential, asking: Asking = {}): Promise<Asked> {
    const { way = this.#turnOf(replica), caller } = asking;
    const { code, body, start, end } = await this.#ask(way, replica, credential.secret, caller);
    const at = { replica: replica.name, start, end };
    const answer = code !== 'ok' ? 'none' : body?.valid === true ? 'valid' : 'invalid';
    const asked: Asked = { ...at, answer, detail: code === 'ok' ? String(body?.status) : code };
    const isRefused = code === 'unauthenticated';
    this.#count(`Verify ${way} ${isRefused ? 'refused' : answer}`);
    this.#hold(credential, asked, way);
    if (caller !== undefined) {
      const admitted = isRefused ? 'invalid' : code === 'ok' ? 'valid' : 'none';
      this.#hold(caller.credential, { ...at, answer: admitted, detail: code }, way);
    }
    return asked;
  }

  #turnOf(replica: Replica): Way {
    let turns = this.#turns.get(replica);
    if (turns === undefined) {
      turns = new Turns(this.#turns.size);
      this.#turns.set(replica, turns);
    }
    return turns.next();
  }

  #ask(way: Way, replica: Replica, token: string, caller: TestKey | undefined): Promise<Answer> {
    const { caller: json, grpcCaller: grpc } = this.#cluster;
    const key = caller?.credential.secret;
    if (way === 'json') return json.call(replica.http, 'AuthService/Verify', { token }, key);
    return way === 'unary' ? grpc.unary(replica, token, key) : grpc.onStream(replica, token, key);
  }

  #hold(credential: Credential, asked: Asked, way: Way): void {
    const wrong = wrongWith(credential, asked);
    if (wrong === undefined) return;
    this.#count('violations');
    if (this.violations.length < MAX_SHOWN) this.violations.push(`${wrong} (${way})`);
  }

  /** Asks until there is an answer. @throws Error where there is none for long. */
  async answered(replica: Replica, credential: Credential, ms = 20_000): Promise<Asked> {
    const end = performance.now() + ms;
    for (;;) {
      const asked = await this.verify(replica, credential);
      if (asked.answer !== 'none') return asked;
      if (performance.now() > end) throw new Error(`${replica.name} gives no answer: ${asked.detail}`);
      await setTimeout(50);
    }
  }

  /** Makes a key; undefined where that was not answered with OK. */
  async tryCreate(
    replica: Replica,
    owner?: TestOwner,
    keyspace = 'default',
    permissions: readonly string[] = [],
  ): Promise<TestKey | undefined> {
    const name = `k${names++}`;
    const { code, body, end } = await this.call(replica, 'KeyService/CreateKey', {
      keyspace,
      name,
      permissions,
      ...(owner === undefined ? {} : { owner }),
    });
    if (code !== 'ok') return undefined;
    const credential = { name, secret: String(body.secret), made: end, withdrawals: [] };
    return { id: String(body.key.id), owner, keyspace, credential };
  }

  /** Makes a key while all is well. */
  create(replica: Replica, owner?: TestOwner, keyspace?: string): Promise<TestKey> {
    return made(() => this.tryCreate(replica, owner, keyspace));
  }

  /** Makes a management key that may verify; undefined where that was not answered with OK. */
  tryCreateCaller(replica: Replica): Promise<TestKey | undefined> {
    return this.tryCreate(replica, undefined, 'gatehouse', ['tokens:verify']);
  }

  /** The same while all is well. */
  createCaller(replica: Replica): Promise<TestKey> {
    return made(() => this.tryCreateCaller(replica));
  }

  /** Makes a keyspace. @returns its id; undefined where that was not answered with OK. */
  async tryCreateKeyspace(
    replica: Replica,
    hash: 'SHA256' | 'ARGON2ID' = 'SHA256',
  ): Promise<string | undefined> {
    const id = `space-${names++}`;
    const prefix = `${id.replace('-', '')}_`;
    // (The first 16 characters of an Argon2id secret are no secret.)
    const { code } = await this.call(replica, 'KeyspaceService/CreateKeyspace', {
      keyspace: { id, prefix, alphabet: 'ALPHABET_BASE62', secretLength: 48, hash: `HASH_ALGORITHM_${hash}` },
    });
    return code === 'ok' ? id : undefined;
  }

  /** Makes a keyspace while all is well. */
  async createKeyspace(replica: Replica, hash?: 'ARGON2ID'): Promise<string> {
    const id = await this.tryCreateKeyspace(replica, hash);
    if (id === undefined) throw new Error('no keyspace could be made');
    return id;
  }

  /** Makes a call that takes these credentials away. */
  async #withdraw(
    replica: Replica,
    method: string,
    body: object,
    keys: readonly TestKey[],
  ): Promise<{ readonly answer: Answer; readonly withdrawals: readonly Withdrawal[] }> {
    const withdrawals = keys.map(({ credential }) => {
      const withdrawal: Withdrawal = { what: `${method} on ${replica.name}`, begun: performance.now() };
      credential.withdrawals.push(withdrawal);
      return withdrawal;
    });
    const answer = await this.call(replica, method, body);
    if (answer.code === 'ok') for (const one of withdrawals) one.confirmed = answer.end;
    return { answer, withdrawals };
  }

  async revoke(replica: Replica, key: TestKey): Promise<Answer> {
    return (await this.#withdraw(replica, 'KeyService/RevokeKey', { id: key.id }, [key])).answer;
  }

  async disable(replica: Replica, key: TestKey): Promise<Answer> {
    const body = { key: { id: key.id, disabled: true }, updateMask: 'disabled' };
    return (await this.#withdraw(replica, 'KeyService/UpdateKey', body, [key])).answer;
  }

  /** @param keys all that the owner has. */
  async disableOwner(replica: Replica, owner: TestOwner, keys: readonly TestKey[]): Promise<Answer> {
    const body = { owner: { keyspace: 'default', ...owner, disabled: true }, updateMask: 'disabled' };
    return (await this.#withdraw(replica, 'OwnerService/UpdateOwner', body, keys)).answer;
  }

  /** Turns away all keys of an owner that were made before now. @param keys all that the owner has. */
  async endBefore(replica: Replica, owner: TestOwner, keys: readonly TestKey[]): Promise<Answer> {
    const notBefore = new Date().toISOString();
    const body = { owner: { keyspace: 'default', ...owner, notBefore }, updateMask: 'notBefore' };
    return (await this.#withdraw(replica, 'OwnerService/UpdateOwner', body, keys)).answer;
  }

  /** @param keys all that the owner has. */
  async revokeOwner(replica: Replica, owner: TestOwner, keys: readonly TestKey[]): Promise<Answer> {
    return (await this.#withdraw(replica, 'KeyService/RevokeKeys', { keyspace: 'default', owner }, keys))
      .answer;
  }

  /** @param keys all that are in the keyspace. */
  async revokeKeyspace(replica: Replica, keyspace: string, keys: readonly TestKey[]): Promise<Answer> {
    return (await this.#withdraw(replica, 'KeyService/RevokeKeys', { keyspace, all: true }, keys)).answer;
  }

  /** Gives a key a new secret; the old one stops at once. */
  async rotate(replica: Replica, key: TestKey): Promise<Answer> {
    const { answer, withdrawals } = await this.#withdraw(
      replica,
      'KeyService/RotateKey',
      { id: key.id, overlap: '0s' },
      [key],
    );
    if (answer.code === 'ok') {
      const name = `${key.credential.name}'`;
      key.credential = { name, secret: String(answer.body.secret), made: answer.end, withdrawals: [] };
    } else if (answer.reason === 'REPLICAS_UNREACHABLE') {
      // Nothing was changed, and whoever saw it in between hears that it was taken back.
      for (const one of withdrawals) one.undone = answer.end + SWEPT_MS;
    }
    return answer;
  }

  /** Changes a key in a way that takes nothing away, so that every copy of it is forgotten. */
  rename(replica: Replica, key: TestKey): Promise<Answer> {
    const body = { key: { id: key.id, name: `renamed ${names++}` }, updateMask: 'name' };
    return this.call(replica, 'KeyService/UpdateKey', body);
  }

  /** Asks each replica about each key, so that all of it is in their memories. */
  async warm(keys: readonly TestKey[], replicas = this.#cluster.replicas): Promise<void> {
    for (const replica of replicas)
      for (const { credential } of keys) await this.answered(replica, credential);
  }
}

async function made(make: () => Promise<TestKey | undefined>): Promise<TestKey> {
  for (let tries = 0; tries < 5; tries++) {
    const key = await make();
    if (key !== undefined) return key;
    await setTimeout(200);
  }
  throw new Error('no key could be made');
}
