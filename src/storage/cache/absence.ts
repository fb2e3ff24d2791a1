/**
 * Whether the store is away. Not each reader shall wait for one that does not answer: once a read has failed so, copies
 * do where they may, and the store is asked each second behind the readers, until it answers anybody.
 */

const RETRY_MS = 1000;

export class StoreAbsence {
  readonly #ask: () => Promise<unknown>;
  #away = false;
  #timer: NodeJS.Timeout | undefined;
  #ended = false;

  /** @param ask a read that costs little; it fails where the store cannot answer. */
  constructor(ask: () => Promise<unknown>) {
    this.#ask = ask;
  }

  get away(): boolean {
    return this.#away;
  }

  /** A read was answered by the store. */
  answered(): void {
    this.#away = false;
  }

  /** The store could not answer a read. */
  failed(): void {
    this.#away = !this.#ended;
    if (this.#away) this.#askLater();
  }

  /** Asks no more. */
  end(): void {
    this.#ended = true;
    this.#away = false;
    clearTimeout(this.#timer);
  }

  #askLater(): void {
    this.#timer ??= setTimeout(() => void this.#askAgain(), RETRY_MS).unref();
  }

  async #askAgain(): Promise<void> {
    if (this.#away) {
      await this.#ask().then(
        () => this.answered(),
        () => undefined,
      );
    }
    this.#timer = undefined;
    if (this.#away) this.#askLater();
  }
}
