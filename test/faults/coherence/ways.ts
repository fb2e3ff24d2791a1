/** The ways in which a Verify can be asked: each has code of its own on the way to the verifier. */

import { type Choices, choicesOf } from './random.ts';

/** Over HTTP with JSON, by a unary gRPC call, by a question on a VerifyStream. */
const ALL = ['json', 'unary', 'stream'] as const;
export type Way = (typeof ALL)[number];

/** Those that are taken: all of them, unless `GATEHOUSE_TEST_VERIFY` names one. */
export const WAYS = waysOf(process.env.GATEHOUSE_TEST_VERIFY);

/** @param named empty or undefined for all. @throws Error for what is no way. */
export function waysOf(named: string | undefined): readonly Way[] {
  if (named === undefined || named === '') return ALL;
  const way = ALL.find((one) => one === named);
  if (way === undefined) throw new Error(`GATEHOUSE_TEST_VERIFY is one of ${ALL.join(', ')}, not ${named}`);
  return [way];
}

/**
 * Whose turn it is: of as many questions as there are ways, each way has one. Their order is by chance, or a scenario that
 * asks about three keys in turn would ask about each of them by the same way all the time.
 */
export class Turns {
  readonly #choices: Choices;
  readonly #ways: readonly Way[];
  #left: Way[] = [];

  /** @param lane those of different lanes do not go side by side. */
  constructor(lane: number, ways = WAYS) {
    this.#choices = choicesOf(1, lane);
    this.#ways = ways;
  }

  next(): Way {
    if (this.#left.length === 0) this.#left = [...this.#ways];
    const way = this.#choices.oneOf(this.#left);
    this.#left = this.#left.filter((one) => one !== way);
    return way;
  }
}
