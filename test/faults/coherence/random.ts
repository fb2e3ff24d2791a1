/** Choices that a seed decides. */

export interface Choices {
  /** A whole number from `least` to `most`. */
  between(least: number, most: number): number;
  /** One of these. @throws Error where there is none. */
  oneOf<Item>(items: readonly Item[]): Item;
  /** One of these by their weights. */
  weighted<Name extends string>(weights: Readonly<Record<Name, number>>): Name;
}

/** @param lane choices of different lanes do not depend on each other's pace. */
export function choicesOf(seed: number, lane: number): Choices {
  let state = (seed ^ Math.imul(lane + 1, 0x9e3779b1)) >>> 0;
  // Mulberry32.
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const between = (least: number, most: number) => least + Math.floor(next() * (most - least + 1));
  return {
    between,
    oneOf(items) {
      const item = items[between(0, items.length - 1)];
      if (item === undefined) throw new Error('nothing to choose from');
      return item;
    },
    weighted<Name extends string>(weights: Readonly<Record<Name, number>>) {
      const entries = Object.entries(weights) as [Name, number][];
      let left = next() * entries.reduce((sum, [, weight]) => sum + weight, 0);
      for (const [name, weight] of entries) {
        left -= weight;
        if (left < 0) return name;
      }
      return (entries.at(-1) as [Name, number])[0];
    },
  };
}

/** What the environment says, or a new one. */
export function seedOf(given = process.env.GATEHOUSE_TEST_SEED): number {
  return given === undefined || given === '' ? Math.floor(Math.random() * 2 ** 31) : Number(given);
}
