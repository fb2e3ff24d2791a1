/** Mutated conversations with both ports of a real service, for as long as it answers others as it must. */

import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as after } from 'node:timers/promises';
import { type Choices, choicesOf } from '../faults/coherence/random.ts';
import type { Besieged, Siege, Vitals } from '../support/besieged.ts';
import { callJson } from '../support/gatehouse.ts';
import { type Frame, Http2Peer, TYPE } from '../support/http2-peer.ts';
import { Conversations, type Kind } from './conversations.ts';

/** Conversations at once. */
const LANES = 8;
/** Calls on a connection, and such whose frames are mutated: one of them may end it, and the rest with it. */
const CALLS = 24;
const FRAMED_CALLS = 3;
/** Milliseconds that answers are waited for. A body that never ends is not worth more. */
const PATIENCE_MS = 400;
/** GOAWAY, reset and close reach the service within this. */
const BACK_MS = 15_000;

export interface FuzzOptions {
  readonly seed: number;
  /** Ends with whichever is reached first. */
  readonly mutations: number;
  readonly ms: number;
  /** More tokens that no Verify may call valid: with a good one among them the run has to fail, or it looks at nothing. */
  readonly refused?: readonly string[];
  /** Told now and then. */
  readonly progress?: (mutations: number) => void;
}

export interface FuzzReport {
  readonly seed: number;
  readonly mutations: Readonly<Record<Kind, number>>;
  readonly total: number;
  /** Answers to them. */
  readonly answers: number;
  /** What must not be: an answer that accepts what must be refused, a good Verify that was not answered so, a defect's log line. */
  readonly faults: readonly string[];
  readonly siege: Siege;
  readonly before: Vitals;
  readonly after: Vitals;
}

export async function fuzz(besieged: Besieged, options: FuzzOptions): Promise<FuzzReport> {
  const run = await Fuzz.prepare(besieged, options);
  return run.toEnd();
}

class Fuzz {
  readonly #besieged: Besieged;
  readonly #options: FuzzOptions;
  readonly #conversations: Conversations;
  /** A caller who may verify and read, and one that is revoked. */
  readonly #reader: string;
  readonly #revoked: string;
  readonly #counts: Record<Kind, number> = {
    frame: 0,
    header: 0,
    envelope: 0,
    protobuf: 0,
    json: 0,
    http1: 0,
  };
  readonly #faults = new Set<string>();
  #total = 0;
  #answers = 0;
  #endsAt = 0;

  private constructor(
    besieged: Besieged,
    options: FuzzOptions,
    keys: { reader: string; revoked: string; refused: string[] },
  ) {
    this.#besieged = besieged;
    this.#options = options;
    this.#reader = keys.reader;
    this.#revoked = keys.revoked;
    this.#conversations = new Conversations(keys.refused);
  }

  static async prepare(besieged: Besieged, options: FuzzOptions): Promise<Fuzz> {
    const { gatehouse } = besieged;
    const asRoot = async (method: string, body: object) => {
      const answer = await callJson(gatehouse, method, body, { key: gatehouse.rootKey });
      if (answer.status !== 200) throw new Error(`${method}: ${JSON.stringify(answer.body)}`);
      return answer.body;
    };
    const make = (keyspace: string, permissions: string[]) =>
      asRoot('KeyService/CreateKey', { keyspace, name: 'fuzz', permissions });
    const reader = await make('gatehouse', ['tokens:verify', 'keys:read']);
    const caller = await make('gatehouse', ['tokens:verify', 'keys:read']);
    const dead = await make('default', []);
    for (const { key } of [caller, dead]) await asRoot('KeyService/RevokeKey', { id: key.id });
    const refused = [
      dead.secret,
      `${dead.secret.slice(0, -4)}aaaa`,
      'gate_junk',
      'x',
      ...(options.refused ?? []),
    ];
    return new Fuzz(besieged, options, { reader: reader.secret, revoked: caller.secret, refused });
  }

  async toEnd(): Promise<FuzzReport> {
    const { seed, ms } = this.#options;
    // The paths that are mutated have to be warm, or what they compile counts as growth.
    this.#endsAt = performance.now() + Math.min(2000, ms / 4);
    await this.#lanes(seed ^ 0x5eed);
    const before = await this.#besieged.back(await this.#besieged.vitals(), 0);
    this.#endsAt = performance.now() + ms;
    const siege = await this.#besieged.during(() => this.#lanes(seed));
    for (const wrong of siege.wrong) this.#faults.add(`a good Verify: ${wrong}`);
    const end = await this.#besieged.back(before, BACK_MS);
    // The log's level is that of defects.
    const log = this.#besieged.gatehouse.output().stdout.trim();
    for (const line of new Set(log.split('\n').filter(Boolean).slice(0, 20)))
      this.#faults.add(`log: ${line}`);
    return {
      seed,
      mutations: this.#counts,
      total: this.#total,
      answers: this.#answers,
      faults: [...this.#faults],
      siege,
      before,
      after: end,
    };
  }

  async #lanes(seed: number): Promise<void> {
    await Promise.all(Array.from({ length: LANES }, (_, lane) => this.#lane(choicesOf(seed, lane))));
  }

  async #lane(choices: Choices): Promise<void> {
    const { mutations, progress } = this.#options;
    while (this.#total < mutations && performance.now() < this.#endsAt && this.#faults.size === 0) {
      try {
        if (choices.between(0, 2) > 0) await this.#http2(choices);
        else await this.#http1(choices);
      } catch (error) {
        // Nobody listens any more.
        this.#faults.add(String(error));
      }
      progress?.(this.#total);
    }
  }

  #count(kind: Kind): void {
    this.#counts[kind]++;
    this.#total++;
  }

  /** @returns a key, and whether its calls must all be refused. */
  #caller({ between }: Choices): { key: string; dead: boolean } {
    const dead = between(0, 2) === 0;
    return { key: dead ? this.#revoked : this.#reader, dead };
  }

  async #http2(choices: Choices): Promise<void> {
    const { key, dead } = this.#caller(choices);
    const peer = await Http2Peer.open(this.#besieged.gatehouse.grpc);
    const calls: Buffer[] = [];
    const frames = choices.between(0, 1) === 0;
    const count = frames ? FRAMED_CALLS : CALLS;
    for (let stream = 1; stream < 2 * count; stream += 2) {
      const { kind, bytes } = this.#conversations.http2(stream, key, frames, choices);
      this.#count(kind);
      calls.push(bytes);
    }
    await peer.sent(...calls);
    await Promise.race([this.#answered(peer, count), peer.closed, after(PATIENCE_MS)]);
    peer.end();
    this.#judge(peer.frames, dead);
  }

  async #answered(peer: Http2Peer, count: number): Promise<void> {
    let left = count;
    await peer.find(({ type, flags, stream }) => {
      const ends = type === TYPE.resetStream || ((flags & 1) === 1 && type <= TYPE.headers);
      if (ends && stream > 0) left--;
      return left === 0;
    });
  }

  #judge(frames: readonly Frame[], dead: boolean): void {
    const bodies = new Map<number, Buffer>();
    for (const { type, stream, payload } of frames) {
      if (type === TYPE.headers && !bodies.has(stream)) {
        bodies.set(stream, Buffer.alloc(0));
        this.#answers++;
      } else if (type === TYPE.data) {
        bodies.set(stream, Buffer.concat([bodies.get(stream) ?? Buffer.alloc(0), payload]));
      }
    }
    for (const body of bodies.values()) this.#judgeBody(body, dead);
  }

  #judgeBody(body: Buffer, dead: boolean): void {
    if (body.length === 0) return;
    // VerifyResponse begins with `valid`; in no other answer of these methods is the first field a number.
    const accepts = (body.length > 6 && body[5] === 0x08 && body[6] === 1) || body.includes('"valid":true');
    // A message of gRPC, or a JSON that is no error; the error of a batch's item has a code as well, but so has no batch a dead caller.
    const answers = (body[0] ?? 0) < 2 || (body[0] === 0x7b && !body.includes('"code":'));
    if (accepts || (dead && answers))
      this.#faults.add(`accepted: ${body.subarray(0, 200).toString('latin1')}`);
  }

  async #http1(choices: Choices): Promise<void> {
    const { key, dead } = this.#caller(choices);
    const { hostname, port } = new URL(this.#besieged.gatehouse.http);
    const socket = connect(Number(port), hostname);
    await once(socket, 'connect');
    const chunks: Buffer[] = [];
    socket.on('error', () => {});
    const closed = new Promise((resolve) => socket.once('close', resolve));
    const answered = new Promise((resolve) => {
      socket.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        resolve(undefined);
      });
    });
    const { kind, bytes } = this.#conversations.http1(key, choices);
    this.#count(kind);
    socket.write(bytes);
    await Promise.race([answered, closed, after(PATIENCE_MS)]);
    socket.destroy();
    const text = Buffer.concat(chunks).toString('latin1');
    if (text === '') return;
    this.#answers++;
    if (text.includes('"valid":true') || (dead && /^HTTP\/1\.1 2/m.test(text)))
      this.#faults.add(`accepted: ${text.slice(0, 400)}`);
  }
}
