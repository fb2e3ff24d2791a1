/** What makes a ratio worse than it was. */

/** Share by which a ratio may be lower, on another machine or by noise. */
export const TOLERANCE = 0.15;

export interface Compared {
  readonly name: string;
  readonly before: number;
  /** NaN where it was not measured. */
  readonly now: number;
  readonly worse: boolean;
}

/** Ratios of which more is better. One that is not measured any more is worse, and one that was not committed is not compared. */
export function compareRatios(
  committed: Readonly<Record<string, number>>,
  measured: Readonly<Record<string, number>>,
): Compared[] {
  return Object.entries(committed).map(([name, before]) => {
    const now = measured[name] ?? Number.NaN;
    return { name, before, now, worse: !(now >= before * (1 - TOLERANCE)) };
  });
}
