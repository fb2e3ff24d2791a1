/** The place that was named cannot serve as a store. One sentence, fit to be the last line of a failed start; the driver's own words are in `cause` only. */
export class StoreUnusable extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'StoreUnusable';
  }
}

/** Nobody answers at the place that was named; trying again may help. */
export class StoreUnreachable extends StoreUnusable {
  constructor(message: string, cause?: unknown) {
    super(message, cause);
    this.name = 'StoreUnreachable';
  }
}

/** Half of the keys would be no answer to "is this key good?", so nobody is served from it. */
export function unfinishedCopy(place: string): StoreUnusable {
  return new StoreUnusable(
    `${place} holds an unfinished copy of another store: run the same \`gatehouse store copy\` again to finish it`,
  );
}
