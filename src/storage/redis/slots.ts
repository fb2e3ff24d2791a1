/**
 * Records in Redis, for all replicas: each in a slot that only the reader may fill whom nobody changed the record under.
 *
 * Whoever can write to Redis can take records away, and can put one back that was true before; it can make none: each has a
 * MAC under a key of the store, over its slot, the time of its reading and itself.
 */

import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto';
import {
  ConsecutiveBreaker,
  circuitBreaker,
  handleAll,
  type IPolicy,
  TimeoutStrategy,
  timeout,
  wrap,
} from 'cockatiel';
import { randomText } from '../../domain/token.ts';
import type { RecordName, SharedRecord, SharedRecords } from '../cache/shared.ts';
import type { RedisLink } from './link.ts';

/** Milliseconds that a Verify waits for Redis before it asks the store. */
const WAIT_MS = 50;
/** Failures in a row after which Redis is left alone, and milliseconds until it is tried again. */
const FAILURES = 5;
const BREAK_MS = 1000;
/** Milliseconds by which clocks of two hosts may differ before a record's age is not believed. */
const CLOCKS_MS = 60_000;
const MAC_LENGTH = 43;

interface Copy<Value> {
  readonly value: Value;
  /** Milliseconds since 1970. */
  readonly readAt: number;
  /** Milliseconds from then that it lives, as its keyspace said when it was made. */
  readonly keptFor: number;
}

export class RedisSlots implements SharedRecords {
  readonly #link: RedisLink;
  readonly #key: KeyObject;
  readonly #now: () => number;
  readonly #policy: IPolicy;

  /**
   * @param secret of the store; the key of the MACs is derived from it.
   * @param now milliseconds since 1970.
   */
  constructor(link: RedisLink, secret: string, now: () => number) {
    this.#link = link;
    this.#key = createSecretKey(createHmac('sha256', secret).update('gatehouse cached records').digest());
    this.#now = now;
    this.#policy = wrap(
      circuitBreaker(handleAll, { halfOpenAfter: BREAK_MS, breaker: new ConsecutiveBreaker(FAILURES) }),
      timeout(WAIT_MS, TimeoutStrategy.Aggressive),
    );
  }

  async read<Value>(
    epoch: string,
    record: RecordName,
    maxAge: (value: Value) => number,
    load: () => Promise<Value>,
  ): Promise<SharedRecord<Value>> {
    // A secret is never changed, so that nothing needs to keep its filling from coming too late; and those that are not
    // there are asked for by the million.
    const token = record.startsWith('secret:') ? '' : `t${randomText('base62', 22)}`;
    const taken = await this.#tried(() => this.#link.take(epoch, record, token));
    if (taken !== undefined && 'value' in taken) {
      const found = this.#opened<Value>(epoch, record, taken.value);
      if (found !== undefined) {
        const limit = maxAge(found.value);
        // By the time that Redis still keeps it; the reader's clock is only for what somebody put back.
        const age = Math.max(0, found.keptFor - taken.restMs);
        if (age <= limit && Math.abs(this.#now() - found.readAt) <= limit + CLOCKS_MS) {
          return { value: found.value, age, shared: true };
        }
      }
    }
    const readAt = this.#now();
    const begun = performance.now();
    const value = await load();
    const rest = Math.floor(maxAge(value) - (performance.now() - begun));
    if (taken !== undefined && 'token' in taken && rest > 0) {
      // Nobody waits for it: it can only come too late to be kept.
      void this.#tried(() =>
        this.#link.fill(
          epoch,
          record,
          taken.token,
          this.#sealed(epoch, record, { readAt, keptFor: maxAge(value), value }),
          rest,
        ),
      );
    }
    return { value, age: 0, shared: false };
  }

  /** Undefined where Redis does not answer in time, or was left alone. */
  async #tried<Answer>(ask: () => Promise<Answer>): Promise<Answer | undefined> {
    try {
      return await this.#policy.execute(ask);
    } catch {
      return undefined;
    }
  }

  #sealed(epoch: string, record: RecordName, { readAt, keptFor, value }: Copy<unknown>): string {
    // What is not there is a record as well.
    const text = `${readAt}:${keptFor}:${JSON.stringify(value ?? null)}`;
    return `r${this.#mac(epoch, record, text)}${text}`;
  }

  #opened<Value>(epoch: string, record: RecordName, sealed: string): Copy<Value> | undefined {
    const mac = Buffer.from(sealed.slice(1, 1 + MAC_LENGTH));
    const text = sealed.slice(1 + MAC_LENGTH);
    const expected = Buffer.from(this.#mac(epoch, record, text));
    if (mac.length !== expected.length || !timingSafeEqual(mac, expected)) return undefined;
    const [, readAt, keptFor, json = 'null'] = /^(\d+):(\d+):(.*)$/s.exec(text) ?? [];
    const value = JSON.parse(json) as Value | null;
    return { value: (value ?? undefined) as Value, readAt: Number(readAt), keptFor: Number(keptFor) };
  }

  #mac(epoch: string, record: RecordName, text: string): string {
    return createHmac('sha256', this.#key).update(`${epoch}\n${record}\n${text}`).digest('base64url');
  }
}
