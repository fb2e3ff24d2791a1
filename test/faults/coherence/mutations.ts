/** What happens where one of the protocol's guards is missing: each time a scenario must find wrong answers. */

import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Scenario } from './scenario.ts';
import { CALLER_STOPPED, CALLER_UNHEARD, CALLER_WITHOUT_REDIS, KEY_MID_STREAM } from './scenarios/callers.ts';
import { STEPPED_UNHEARD } from './scenarios/clocks.ts';
import { SPLIT } from './scenarios/failover.ts';
import { SWAPPED } from './scenarios/forged.ts';
import { LATE_LOAD } from './scenarios/loads.ts';
import { EMPTIED, FAR_BEHIND, FLUSHED, OLD_DUMP, SHARED, SWAPPED_BACK, TRIMMED } from './scenarios/redis.ts';
import { ALONE, CUT_OFF, EVERY_CHANGE, RETURNED, SLOW, STOPPED, VERY_SLOW } from './scenarios/silent.ts';
import { CUT_OFF_CHANGER, KILLED_BETWEEN } from './scenarios/store.ts';
import { KNOWN_BEFORE } from './scenarios/unknown.ts';

interface Edit {
  /** Below `src`. */
  readonly file: string;
  /** Stands there exactly once. */
  readonly from: string;
  readonly to: string;
}

export interface Mutation {
  /** What is taken out. */
  readonly name: string;
  /** More than one where each covers for the other. */
  readonly edits: readonly Edit[];
  /** Which must find it, each by itself. */
  readonly scenarios: readonly Scenario[];
}

const REPLICA = 'coherence/replica.ts';
const MEMORY = 'storage/cache/memory.ts';
const SCRIPTS = 'storage/redis/scripts.ts';
const SLOTS = 'storage/redis/slots.ts';
const LINK = 'storage/redis/link.ts';

export const MUTATIONS: readonly Mutation[] = [
  {
    name: 'coherence altogether: each replica trusts its own memory',
    edits: [
      {
        file: 'coherence/coherence.ts',
        from: 'if (settings.redisUrl !== undefined)',
        to: 'if (settings.redisUrl === "")',
      },
      { file: 'coherence/coherence.ts', from: 'lease: BLIND', to: 'lease: ALONE' },
      {
        file: 'coherence/coherence.ts',
        from: 'spreadAmongBlind(store, now)',
        to: 'spreadHere(new ChangeFeed(() => true), now)',
      },
    ],
    scenarios: [EVERY_CHANGE],
  },
  {
    name: 'the wait for acknowledgements',
    edits: [{ file: REPLICA, from: 'while (!known || missing.size > 0) {', to: 'while (this.#stopped) {' }],
    scenarios: [SLOW, STOPPED, CALLER_STOPPED, KEY_MID_STREAM],
  },
  {
    name: 'the dropping of what an entry names',
    edits: [
      {
        file: REPLICA,
        from: 'for (const entry of entries) memory.drop(entry.record as RecordName);',
        to: '',
      },
    ],
    scenarios: [EVERY_CHANGE],
  },
  {
    name: 'the lease of a read',
    edits: [
      {
        file: MEMORY,
        from: 'if (!this.#lease.held || this.#closed) {',
        to: 'if (this.#lease.epoch === "") {',
      },
      { file: MEMORY, from: '() => this.#lease.held && !this.#closed', to: '() => !this.#closed' },
    ],
    scenarios: [CUT_OFF, STOPPED, CALLER_UNHEARD],
  },
  {
    name: 'the counting of the lease from the sending, and the deadline of commands',
    edits: [
      { file: REPLICA, from: 'this.#term.grant(sent)', to: 'this.#term.grant(this.#term.now())' },
      { file: LINK, from: 'const COMMAND_MS = 400;', to: 'const COMMAND_MS = 5000;' },
    ],
    scenarios: [VERY_SLOW],
  },
  {
    name: 'the disowning of loads that a change overtakes',
    edits: [
      {
        file: 'storage/cache/records.ts',
        from: 'this.#absent?.delete(key);\n    this.#loads.delete(key);',
        to: 'this.#absent?.delete(key);',
      },
    ],
    scenarios: [LATE_LOAD],
  },
  {
    name: 'the token of a fill',
    edits: [
      {
        file: SCRIPTS,
        from: "if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end",
        to: '',
      },
    ],
    scenarios: [LATE_LOAD],
  },
  {
    name: 'the forgetting of shared copies',
    edits: [{ file: SCRIPTS, from: "redis.call('DEL', ARGV[2] .. epoch .. ':' .. ARGV[at])", to: '' }],
    scenarios: [SHARED],
  },
  {
    name: 'the emptying at a new epoch',
    edits: [
      {
        file: REPLICA,
        from: 'this.#granted = false;\n      memory.clear();',
        to: 'this.#granted = false;',
      },
    ],
    scenarios: [EMPTIED],
  },
  {
    name: 'the emptying where entries are missing',
    edits: [
      {
        file: REPLICA,
        from: 'this.counts.lapses.gap++;\n      this.#applied = last;\n      memory.clear();',
        to: 'this.counts.lapses.gap++;\n      this.#applied = last;',
      },
    ],
    scenarios: [TRIMMED],
  },
  {
    name: 'the whole wait in an epoch that is young',
    edits: [
      {
        file: REPLICA,
        from: 'const known = epoch === this.#epoch && replied - this.#epochSince >= settleMs + LEASE_MS;',
        to: 'const known = true;',
      },
    ],
    scenarios: [FLUSHED],
  },
  {
    name: 'the age of an epoch that is known',
    edits: [
      {
        file: REPLICA,
        from: ' && replied - this.#epochSince >= settleMs + LEASE_MS',
        to: '',
      },
    ],
    scenarios: [FLUSHED],
  },
  {
    name: 'the replication id of an epoch',
    edits: [
      {
        file: SCRIPTS,
        from: "string.match(info, 'master_replid:(%x+)')",
        to: "'same'",
      },
    ],
    scenarios: [OLD_DUMP],
  },
  {
    name: 'the random part of an epoch',
    edits: [
      { file: SCRIPTS, from: "'#nonce', ARGV[1], '#seq'", to: "'#nonce', 'same', '#seq'" },
      { file: SCRIPTS, from: 'known[2] = ARGV[1]', to: "known[2] = 'same'" },
    ],
    scenarios: [FLUSHED],
  },
  {
    name: 'the catching up before a lease',
    edits: [
      {
        file: REPLICA,
        from: 'if (this.#applied !== reply.last || !settled) return;',
        to: 'if (!settled) return;',
      },
    ],
    scenarios: [FAR_BEHIND],
  },
  {
    name: 'the changer’s own forgetting, after the write, after the telling and in the wait',
    edits: [
      {
        file: MEMORY,
        from: 'return await this.#inner.replaceKey(next);\n    } finally {',
        to: 'return await this.#inner.replaceKey(next);\n    } finally { if (this.#shared === undefined)',
      },
      {
        file: MEMORY,
        from: 'await this.#inner.publishEvents(record, upTo);\n    } finally {',
        to: 'await this.#inner.publishEvents(record, upTo);\n    } finally { if (this.#shared === undefined)',
      },
      { file: REPLICA, from: 'for (const { name } of records) this.#parts.memory.drop(name);', to: '' },
      {
        file: REPLICA,
        from: 'const missing = new Map(members);',
        to: 'const missing = new Map(members); missing.delete(this.id);',
      },
    ],
    scenarios: [ALONE],
  },
  {
    name: 'the epoch of shared copies, in their name, in their MAC and before they are taken',
    edits: [
      {
        file: LINK,
        from: 'token: string): Promise<Taken> {',
        to: "token: string): Promise<Taken> { epoch = 'e';",
      },
      { file: LINK, from: 'ms: number): Promise<void> {', to: "ms: number): Promise<void> { epoch = 'e';" },
      { file: SCRIPTS, from: "ARGV[2] .. epoch .. ':' .. ARGV[at]", to: "ARGV[2] .. 'e:' .. ARGV[at]" },
      {
        file: SCRIPTS,
        from: "if not nonce or not string.find(info, 'role:master', 1, true) or replid .. ':' .. nonce ~= ARGV[1] then return {} end",
        to: '',
      },
      { file: SLOTS, from: 'text: string): string {', to: "text: string): string { epoch = 'e';" },
    ],
    scenarios: [OLD_DUMP],
  },
  {
    name: 'the MAC of shared copies',
    edits: [{ file: SLOTS, from: '!timingSafeEqual(mac, expected)', to: 'false' }],
    scenarios: [SWAPPED],
  },
  {
    name: 'the removal of members only where they were silent since, and the asking for the name after a lapse',
    edits: [
      { file: REPLICA, from: ' || this.#isInDoubt(lostFor)', to: '' },
      {
        file: SCRIPTS,
        from: "if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then",
        to: "if ARGV[2] ~= '' then",
      },
    ],
    scenarios: [RETURNED],
  },
  {
    name: 'the forgetting of unknown management keys, by not keeping them and by the telling of new ones',
    edits: [
      {
        file: MEMORY,
        from: 'return keyspace === RESERVED_KEYSPACE ? 0 : this.#policy(keyspace).negativeTtl;',
        to: 'return this.#policy(keyspace).negativeTtl;',
      },
      {
        file: 'coherence/changes.ts',
        from: 'void this.#spread.tell([{ name, keyspace, revision }]).catch(() => undefined);',
        to: 'void name; void keyspace; void revision;',
      },
    ],
    scenarios: [KNOWN_BEFORE],
  },
  {
    name: 'the monotonic clock of a lease',
    edits: [
      { file: 'coherence/lease.ts', from: 'Math.max(monotonic, wall) - HELD_MS', to: 'wall - HELD_MS' },
    ],
    scenarios: [STEPPED_UNHEARD],
  },
  {
    name: 'the time without a lease under a new master',
    edits: [
      {
        file: REPLICA,
        from: 'const settled = this.#clocks.monotonic() - this.#epochSince >= this.#parts.link.settleMs;',
        to: 'const settled = true;',
      },
    ],
    scenarios: [SPLIT],
  },
  {
    name: 'the time without a confirmation under a new master',
    edits: [
      {
        file: REPLICA,
        from: 'const { settleMs } = this.#parts.link;',
        to: 'const settleMs = 0;',
      },
    ],
    scenarios: [SPLIT],
  },
  {
    name: 'the naming of the epoch that counts',
    edits: [
      {
        file: 'coherence/over-redis.ts',
        from: 'isNamed: (epoch, knownFor) => naming.names(epoch, knownFor),',
        to: '',
      },
    ],
    scenarios: [SWAPPED_BACK],
  },
  {
    name: 'the telling of changes whose replica died',
    edits: [
      {
        file: 'coherence/changes.ts',
        from: 'await this.#spread.tell([spreadRecord(target.kind, record)]);\n    await this.#store.publishEvents(target',
        to: 'await this.#store.publishEvents(target',
      },
    ],
    scenarios: [KILLED_BETWEEN, CUT_OFF_CHANGER],
  },
  {
    name: 'the mark on copies that have left memory',
    edits: [{ file: 'storage/cache/records.ts', from: 'copy.isGone = true;', to: '' }],
    scenarios: [KEY_MID_STREAM],
  },
  {
    name: 'the judging anew of a caller whom a connection or a stream has met',
    edits: [
      {
        file: 'rpc/lane/callers.ts',
        from: 'this.#verifier.stillMatches(asker.caller);',
        to: 'asker.caller !== undefined;',
      },
    ],
    scenarios: [CALLER_UNHEARD, CALLER_STOPPED],
  },
  {
    name: 'the judging anew of a stream’s caller with each question',
    edits: [
      {
        file: 'rpc/lane/question-stream.ts',
        from: 'beginTurn() ? this.#asker() : undefined;',
        to: 'beginTurn() ? (this.#acquaintance.asker ?? this.#asker()) : undefined;',
      },
    ],
    scenarios: [CALLER_UNHEARD, CALLER_STOPPED],
  },
  {
    name: 'the judging anew of a stream’s caller on the long way',
    edits: [
      {
        file: 'rpc/handlers/verify-stream.ts',
        from: 'call.caller && (await call.judgedAgain())',
        to: 'call.caller',
      },
    ],
    scenarios: [CALLER_STOPPED, CALLER_WITHOUT_REDIS],
  },
];

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

/** A copy of the sources with the mutation made. @throws Error where an edit does not match exactly once. */
export function mutated({ name, edits }: Pick<Mutation, 'name' | 'edits'>): {
  readonly main: string;
  remove(): void;
} {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-mutation-'));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  try {
    cpSync(join(ROOT, 'src'), join(folder, 'src'), { recursive: true });
    for (const shared of ['node_modules', 'package.json', 'proto', 'third_party'])
      symlinkSync(join(ROOT, shared), join(folder, shared));
    for (const { file, from, to } of edits) {
      const path = join(folder, 'src', file);
      const parts = readFileSync(path, 'utf8').split(from);
      if (parts.length !== 2) {
        throw new Error(`${name}: ${file} has ${parts.length - 1} times, not once: ${from}`);
      }
      writeFileSync(path, parts.join(to));
    }
  } catch (error) {
    remove();
    throw error;
  }
  return { main: join(folder, 'src/main.ts'), remove };
}
