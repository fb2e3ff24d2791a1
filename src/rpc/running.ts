/** How much is under way, and no more than that. */

import { Failure } from '../domain/failure.ts';
import type { MethodPolicy } from './policy.ts';

export interface Limits {
  /** Unary calls at once. */
  readonly calls: number;
  /** Streams at once, of callers that were authenticated. */
  readonly streams: number;
  /** Streams at once that anyone may open (health Watch, reflection): apart, so that they crowd out no caller. */
  readonly publicStreams: number;
}

export const DEFAULT_LIMITS: Limits = { calls: 1024, streams: 1024, publicStreams: 100 };

const RETRY_MS = 1000;

type Pool = keyof Limits;

/** Counts calls, and the handlers that still work after their call was answered (its deadline came first). */
export class Running {
  readonly #limits: Limits;
  readonly #admitted: Record<Pool, number> = { calls: 0, streams: 0, publicStreams: 0 };
  readonly #waiting = new Set<() => void>();
  #work = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /**
   * Takes a place for a call.
   *
   * @returns what gives the place back; once is enough.
   * @throws Failure `exhausted` TOO_MANY_IN_FLIGHT.
   */
  admit(policy: Pick<MethodPolicy, 'streaming' | 'access'>): () => void {
    const pool = poolOf(policy);
    // A health check that is shed would have the whole service restarted.
    if (pool === undefined) return () => {};
    if (this.#admitted[pool] >= this.#limits[pool]) throw tooMany();
    this.#admitted[pool]++;
    let held = true;
    return () => {
      if (held) this.#admitted[pool]--;
      held = false;
    };
  }

  /** Counts work as long as it lasts. */
  async track<T>(work: Promise<T>): Promise<T> {
    this.#work++;
    try {
      return await work;
    } finally {
      this.#work--;
      if (this.#work === 0) this.#tell();
    }
  }

  /** Resolves once nothing that is tracked is under way. */
  idle(): Promise<void> {
    if (this.#work === 0) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.add(resolve));
  }

  #tell(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}

function poolOf({ streaming, access }: Pick<MethodPolicy, 'streaming' | 'access'>): Pool | undefined {
  if (!streaming) return access === 'public' ? undefined : 'calls';
  return access === 'required' ? 'streams' : 'publicStreams';
}

function tooMany(): Failure {
  return new Failure('exhausted', 'TOO_MANY_IN_FLIGHT', 'too many calls are under way; try again soon', {
    retryAfterMs: RETRY_MS,
  });
}
