/**
 * One replica among those that share a Redis: follows the log of changes, holds a lease for as long as it does, and has its
 * own changes confirmed by the others. The protocol, and why it holds, is in docs/revocation.md.
 */

import { setTimeout } from 'node:timers/promises';
import { randomText } from '../domain/token.ts';
import type { Lease, RecordName } from '../storage/cache/shared.ts';
import type { AnnounceReply, LogEntry, RedisLink, SyncReply } from '../storage/redis/link.ts';
import { CLOCKS, type Clocks, LEASE_MS, LeaseTerm } from './lease.ts';
import { type Propagation, type Spread, type SpreadRecord, unconfirmed } from './spread.ts';

const SYNC_MS = 50;
/** Milliseconds without a lease after which the epoch's name is asked for again. */
const DOUBT_MS = 0.1 * LEASE_MS;
/** Milliseconds for which an announcement is tried again; a call that waits has its own deadline as well. */
const PATIENCE_MS = 2000;
const RETRY_MS = 50;
/** Milliseconds until the first look at who has acknowledged: the others need about two round trips. */
const LOOK_MS = 3;
/** Part of the time that has passed, after which is looked again: many changes may wait for one that is silent. */
const LOOK_PART = 0.25;
/** Milliseconds between two looks at who is there, for the metrics alone. */
const COUNT_MS = 10_000;

/** What holds copies of records. */
export interface Memory {
  drop(name: RecordName): void;
  clear(): void;
}

/** Why a lease was lost, or memory emptied. */
export type Lapse = 'late' | 'epoch' | 'gap';

export interface ReplicaCounts {
  readonly lapses: Record<Lapse, number>;
  /** Changes that were confirmed. */
  confirmed: number;
  unconfirmed: number;
  /** Replicas that were taken off the members because they had gone silent. */
  removed: number;
}

export interface ReplicaParts {
  readonly link: Pick<
    RedisLink,
    'ready' | 'settleMs' | 'sync' | 'announce' | 'members' | 'remove' | 'leave' | 'onHint'
  >;
  readonly memory: Memory;
  readonly clocks?: Clocks;
  /** Told of each replica that was taken off because it had gone silent. */
  readonly onRemoved?: (id: string) => void;
  /** Told of each confirmed change: milliseconds that its confirmation took. */
  readonly onConfirmed?: (ms: number) => void;
  /** Told of each entry of the log, and of each time that some may have been missed. */
  readonly onEntries?: (entries: readonly LogEntry[]) => void;
  readonly onMissed?: () => void;
  /**
   * Whether the store names an epoch that this replica has known for so many milliseconds. Asked until it does, and again
   * for another epoch. @throws where it cannot be told.
   */
  readonly isNamed?: (epoch: string, knownFor: number) => Promise<boolean>;
  /** Told of syncs that failed while there is a connection. */
  readonly onError?: (error: unknown) => void;
  /** Whether this replica's Redis is still that of the others. Asked where no lease says so. @throws where it cannot be told. */
  readonly isOurs?: () => Promise<boolean>;
}

export class Replica implements Lease, Spread {
  readonly counts: ReplicaCounts = {
    lapses: { late: 0, epoch: 0, gap: 0 },
    confirmed: 0,
    unconfirmed: 0,
    removed: 0,
  };

  /** Another one at each start: what a dead process noted is not this one's. */
  readonly id = randomText('base62', 16);
  readonly #parts: ReplicaParts;
  readonly #clocks: Clocks;
  readonly #term: LeaseTerm;
  #epoch = '';
  /** The last epoch that the store named. */
  #named = '';
  /** When it did last. */
  #namedAt = Number.NEGATIVE_INFINITY;
  /** When this replica learnt of the epoch. */
  #epochSince = Number.NaN;
  /** Number of the last entry of the log that memory knows of. */
  #applied = 0;
  #syncs = 0;
  /** Whether there ever was a lease. */
  #granted = false;
  /** Whether it is counted that the lease is over. */
  #lapseCounted = false;
  /** How many replicas there were when they were looked at last. */
  #seen = 0;
  #counted = Number.NEGATIVE_INFINITY;
  #syncing: Promise<void> | undefined;
  #again = false;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(parts: ReplicaParts) {
    this.#parts = parts;
    this.#clocks = parts.clocks ?? CLOCKS;
    this.#term = new LeaseTerm(this.#clocks);
  }

  get held(): boolean {
    return this.#term.held;
  }

  get lostFor(): number {
    return this.#term.lostFor;
  }

  get epoch(): string {
    return this.#epoch;
  }

  /** Number of the last entry that was applied. */
  get position(): number {
    return this.#applied;
  }

  get reachable(): boolean {
    return this.held;
  }

  /** Replicas that share the Redis, this one too, when it saw them last; 0 while it follows no log. */
  get replicas(): number {
    return this.held ? this.#seen : 0;
  }

  /** Follows the log from now on. */
  start(): void {
    this.#timer = setInterval(() => {
      this.#countLapse();
      this.#countReplicas();
      this.#sync();
    }, SYNC_MS);
    this.#timer.unref();
    this.#parts.link.onHint(() => this.#sync());
    this.#sync();
  }

  /** Gives up the lease for good, and follows no log any more. */
  forgo(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
    this.#term.end();
    this.#parts.memory.clear();
  }

  /** Gives up the lease, and tells the others that nobody need wait for this one. */
  async stop(): Promise<void> {
    this.forgo();
    await this.#syncing;
    if (this.#parts.link.ready) await this.#parts.link.leave(this.id).catch(() => undefined);
  }

  async confirm(records: readonly SpreadRecord[]): Promise<Propagation> {
    const begun = this.#clocks.monotonic();
    try {
      const reply = await this.#announce(records);
      const replied = this.#clocks.monotonic();
      const propagation = await this.#acknowledged(reply, replied);
      this.counts.confirmed++;
      this.#parts.onConfirmed?.(this.#clocks.monotonic() - begun);
      return propagation;
    } catch (error) {
      this.counts.unconfirmed++;
      throw error;
    }
  }

  async tell(records: readonly SpreadRecord[]): Promise<void> {
    await this.#announceOnce(records);
  }

  async #announce(records: readonly SpreadRecord[]): Promise<AnnounceReply> {
    const end = this.#clocks.monotonic() + PATIENCE_MS;
    for (;;) {
      try {
        return await this.#announceOnce(records);
      } catch (error) {
        if (this.#stopped || this.#clocks.monotonic() > end) throw unconfirmed(error);
        await setTimeout(RETRY_MS);
      }
    }
  }

  async #announceOnce(records: readonly SpreadRecord[]): Promise<AnnounceReply> {
    const changes = records.map(({ name, ...change }) => ({ ...change, record: name }));
    const reply = await this.#parts.link.announce(changes, this.#clocks.wall(), randomText('base62', 16));
    // This replica will read of it in the log as the others do. Nothing speaks against forgetting at once.
    for (const { name } of records) this.#parts.memory.drop(name);
    this.#sync();
    // Others may never have been there, and never come: what was announced in it may be gone with it.
    if (reply.epoch !== this.#named) throw new Error('the epoch of Redis is not named yet');
    if (!(await this.#belongs())) throw new Error('the other replicas share another Redis by now');
    return reply;
  }

  /** Whether those that were told are all there are. Nobody takes the domain away from who holds a lease. */
  async #belongs(): Promise<boolean> {
    if (this.#stopped) return false;
    return this.held || this.#parts.isOurs === undefined || (await this.#parts.isOurs());
  }

  /**
   * Waits until every replica that may hold a lease has applied the entry, or no lease can be left that was given before the
   * announcement.
   */
  async #acknowledged({ epoch, last, members }: AnnounceReply, replied: number): Promise<Propagation> {
    const done = (acknowledged: number): Propagation => ({
      replicas: members.size,
      acknowledged,
      effectiveTime: this.#clocks.wall(),
    });
    const missing = new Map(members);
    const mark = (now: ReadonlyMap<string, string>) => {
      for (const id of [...missing.keys()]) {
        const noted = now.get(id);
        // Whoever took it off has made sure that its lease was over, or it has left by itself.
        if (noted === undefined || appliedOf(noted) >= last) missing.delete(id);
      }
    };
    mark(members);
    this.#see(members);
    // Replicas of the epoch before may hold leases and stand in no list: they lose them within LEASE of its end.
    const { settleMs } = this.#parts.link;
    const known = epoch === this.#epoch && replied - this.#epochSince >= settleMs + LEASE_MS;
    if (!known && settleMs > 0) throw unconfirmed(new Error('Redis has a new master'));
    while (!known || missing.size > 0) {
      const passed = this.#clocks.monotonic() - replied;
      if (passed >= LEASE_MS) break;
      const rest = LEASE_MS - passed;
      await setTimeout(known ? Math.min(rest, Math.max(LOOK_MS, LOOK_PART * passed)) : rest);
      const now = await this.#parts.link.members(epoch).catch(() => undefined);
      this.#see(now);
      if (now !== undefined) mark(now);
    }
    this.#forget(missing);
    return done(members.size - missing.size);
  }

  /** Takes off those that have noted nothing since: their leases are over, and the next change need not wait for them. */
  #forget(silent: ReadonlyMap<string, string>): void {
    for (const [id, noted] of silent) {
      if (id === this.id) continue;
      this.#parts.link.remove(id, noted).then(
        (removed) => {
          if (!removed) return;
          this.counts.removed++;
          this.#seen--;
          this.#parts.onRemoved?.(id);
        },
        () => undefined,
      );
    }
  }

  /** As soon as it is over, not when Redis is back; once for each. */
  #countLapse(): void {
    if (this.held || !this.#granted || this.#lapseCounted) return;
    this.#lapseCounted = true;
    this.counts.lapses.late++;
  }

  #countReplicas(): void {
    const now = this.#clocks.monotonic();
    if (!this.held || now - this.#counted < COUNT_MS) return;
    this.#counted = now;
    this.#parts.link.members(this.#epoch).then(
      (members) => this.#see(members),
      () => undefined,
    );
  }

  #see(members: ReadonlyMap<string, string> | undefined): void {
    if (members !== undefined) this.#seen = members.size;
  }

  /** One at a time; who asks meanwhile is served by one more. */
  #sync(): void {
    if (this.#syncing !== undefined) {
      this.#again = true;
      return;
    }
    if (this.#stopped || !this.#parts.link.ready) return;
    this.#again = false;
    this.#syncing = this.#syncOnce()
      // Redis's absence is noticed by the lease running out, and told by the link; a Redis that refuses is told here.
      .catch((error: unknown) => {
        if (this.#parts.link.ready) this.#parts.onError?.(error);
      })
      .finally(() => {
        this.#syncing = undefined;
        if (this.#again) this.#sync();
      });
  }

  async #syncOnce(): Promise<void> {
    const sent = this.#term.now();
    const [epoch, applied] = [this.#epoch, this.#applied];
    const standing = { id: this.id, epoch, applied, syncs: ++this.#syncs };
    const reply = await this.#parts.link.sync(standing, randomText('base62', 16));
    if (this.#stopped) return;
    const { lostFor } = this.#term;
    this.#countLapse();
    this.#apply(reply);
    // What was applied is acknowledged by the next sync, for which changes wait.
    if (this.#applied !== applied || reply.last !== this.#applied) this.#again = true;
    // Nor may changes go unheard that another master still takes.
    const settled = this.#clocks.monotonic() - this.#epochSince >= this.#parts.link.settleMs;
    if (this.#applied !== reply.last || !settled) return;
    if (this.#epoch !== this.#named || this.#isInDoubt(lostFor)) return this.#askForName();
    // Who was away for so long may have been given up.
    const { isOurs } = this.#parts;
    if (this.#granted && lostFor > LEASE_MS && isOurs !== undefined && !(await isOurs())) return;
    this.#granted = true;
    if (this.#stopped) return;
    this.#term.grant(sent);
    this.#lapseCounted = false;
  }

  /**
   * Whether others may have been in another epoch since the lease ran out, which was left again: none of their changes there
   * was confirmed sooner than LEASE after the last sync here, which is a fifth of LEASE after the end of its lease.
   */
  #isInDoubt(lostFor: number): boolean {
    return this.#granted && lostFor > DOUBT_MS && this.#clocks.monotonic() - this.#namedAt > DOUBT_MS;
  }

  /** A later sync takes the lease: this one's sending may be too long ago by then. */
  async #askForName(): Promise<void> {
    const { isNamed } = this.#parts;
    const epoch = this.#epoch;
    const knownFor = this.#clocks.monotonic() - this.#epochSince;
    if (isNamed !== undefined && !(await isNamed(epoch, knownFor))) return;
    this.#named = epoch;
    this.#namedAt = this.#clocks.monotonic();
    this.#again = true;
  }

  #apply({ epoch, last, entries }: SyncReply): void {
    const { memory, onEntries, onMissed } = this.#parts;
    if (epoch !== this.#epoch) {
      if (this.#epoch !== '') this.counts.lapses.epoch++;
      this.#epoch = epoch;
      this.#epochSince = this.#clocks.monotonic();
      this.#applied = last;
      // What is in Redis now may be of a time that is over: nothing is read there before the epoch is named.
      this.#term.end();
      this.#granted = false;
      memory.clear();
      onMissed?.();
      return;
    }
    if (last === this.#applied) return;
    if (!isWhole(entries, this.#applied, last)) {
      this.counts.lapses.gap++;
      this.#applied = last;
      memory.clear();
      onMissed?.();
      return;
    }
    for (const entry of entries) memory.drop(entry.record as RecordName);
    this.#applied += entries.length;
    onEntries?.(entries);
  }
}

/** Whether the entries go on where memory stands, without a gap. */
function isWhole(entries: readonly LogEntry[], applied: number, last: number): boolean {
  return (
    entries.length > 0 &&
    last > applied &&
    entries.every(({ number }, index) => number === applied + 1 + index)
  );
}

/** From what a replica notes: the last entry that it has applied. */
function appliedOf(noted: string): number {
  return Number(noted.slice(0, noted.indexOf('/')));
}
