/** The place that was named cannot serve as a store. One sentence, fit to be the last line of a failed start; the driver's own words are in `cause` only. */
export class StoreUnusable extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'StoreUnusable';
  }
}
