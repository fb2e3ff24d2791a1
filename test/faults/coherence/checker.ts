/** What answers of Verify are wrong, whatever went on meanwhile. All times are milliseconds of one process' clock. */

/** Something that takes a credential away. */
export interface Withdrawal {
  /** Such as `RevokeKey`. */
  readonly what: string;
  /** When it was asked for. From then on the credential may be refused. */
  readonly begun: number;
  /** When its OK had been received. From then on the credential must be refused. */
  confirmed?: number;
  /** From when on it is known not to have been made after all. */
  undone?: number;
}

/** One secret, and what it was told to be. */
export interface Credential {
  readonly name: string;
  readonly secret: string;
  /** When the OK had been received of the call that made it. */
  readonly made: number;
  readonly withdrawals: Withdrawal[];
}

/** One call of Verify. */
export interface Asked {
  readonly replica: string;
  readonly start: number;
  readonly end: number;
  /** `none`: no answer, which is never wrong. */
  readonly answer: 'valid' | 'invalid' | 'none';
  /** The status that was answered, or why there is no answer. */
  readonly detail: string;
}

/**
 * What is wrong with an answer; undefined: nothing. Ask once the call has ended: what decides is known by then.
 *
 * - Who asks after the OK of a withdrawal must not be told that the credential is good.
 * - Who asks after it was made, and before anybody began to take it away, must not be told that it is bad.
 */
export function wrongWith(credential: Credential, asked: Asked): string | undefined {
  const { name, made, withdrawals } = credential;
  const { replica, start, end, answer, detail } = asked;
  if (answer === 'valid') {
    const ended = withdrawals.find(({ confirmed = Number.POSITIVE_INFINITY }) => confirmed <= start);
    if (ended === undefined) return undefined;
    const after = Math.round(start - (ended.confirmed ?? start));
    return `${name} was accepted by ${replica} ${after} ms after the OK of ${ended.what}`;
  }
  if (answer === 'none' || made > start) return undefined;
  const begun = withdrawals.some(
    ({ begun: from, undone = Number.POSITIVE_INFINITY }) => from < end && start < undone,
  );
  return begun ? undefined : `${name} was refused by ${replica} without a reason: ${detail}`;
}
