/** Mutated conversations with both ports of a real service, for as long as it answers others as it must. */

import { type Choices, choicesOf } from '../faults/coherence/random.ts';
import type { Besieged, Siege, Vitals } from '../support/besieged.ts';
import { callJson } from '../support/gatehouse.ts';
import { Conversations, type Kind } from './conversations.ts';
import { talkHttp1 } from './http1-talk.ts';
import { type Talk, talkOfCalls, talkOfQuestions } from './http2-talk.ts';

/** Conversations at once: enough to keep the service busy while some of them wait for what never comes. */
const LANES = 24;
/** GOAWAY, reset and close reach the service within this, and what looks alive and is not has been asked in vain. */
const BACK_MS = 30_000;
/** How often each kind of conversation is held. */
const CONVERSATIONS = {
  calls: 3,
  framedCalls: 3,
  questions: 4,
  framedQuestions: 2,
  http1: 4,
} as const;

export interface FuzzOptions {
  readonly seed: number;
  /** Ends with whichever is reached first. */
  readonly mutations: number;
  readonly ms: number;
  /** More tokens that no Verify may call valid: with a good one among them the run has to fail, or it looks at nothing. */
  readonly refused?: readonly string[];
  /** The one kind of conversation that is held; all of them where it is absent. */
  readonly only?: keyof typeof CONVERSATIONS;
  /** Told now and then. */
  readonly progress?: (mutations: number) => void;
}

export interface FuzzReport {
  readonly seed: number;
  readonly mutations: Readonly<Record<Kind, number>>;
  readonly total: number;
  /** Calls that were answered, and those that had to be, with all that they asked. */
  readonly answers: number;
  readonly owed: number;
  readonly seconds: number;
  /** What must not be: an answer that accepts what must be refused or does not come, a good Verify that was not answered so, a defect's log line. */
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
    stream: 0,
    batch: 0,
  };
  readonly #faults = new Set<string>();
  #total = 0;
  #answers = 0;
  #owed = 0;
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
    const begun = performance.now();
    this.#endsAt = begun + ms;
    const siege = await this.#besieged.during(() => this.#lanes(seed));
    const seconds = (performance.now() - begun) / 1000;
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
      owed: this.#owed,
      seconds,
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
        await this.#one(choices);
      } catch (error) {
        // Nobody listens any more.
        this.#faults.add(String(error));
      }
      progress?.(this.#total);
    }
  }

  async #one(choices: Choices): Promise<void> {
    const dead = choices.between(0, 2) === 0;
    const { grpc, http } = this.#besieged.gatehouse;
    const talk: Talk = {
      conversations: this.#conversations,
      key: dead ? this.#revoked : this.#reader,
      dead,
      choices,
      count: (kind, mutations) => {
        this.#counts[kind] += mutations;
        this.#total += mutations;
      },
      fault: (what) => this.#faults.add(what),
    };
    const kind = this.#options.only ?? choices.weighted(CONVERSATIONS);
    if (kind === 'http1') {
      this.#answers += await talkHttp1(http, talk);
      return;
    }
    const isFramed = kind === 'framedCalls' || kind === 'framedQuestions';
    const converse = kind === 'calls' || kind === 'framedCalls' ? talkOfCalls : talkOfQuestions;
    const { answers, owed } = await converse(grpc, isFramed, talk);
    this.#answers += answers;
    this.#owed += owed;
  }
}
