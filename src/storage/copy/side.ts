/** One of the two stores of a copy, under the name that people know it by. */

import { Failure } from '../../domain/failure.ts';
import type { Batch, MovableStore, MovedKind } from '../movable-store.ts';
import { diskReason } from '../sqlite/errors.ts';

/** A store failed in the middle of a copy; the message is the line to show. Nothing is lost: a copy goes on where it was. */
export class CopyBroken extends Error {
  constructor(name: string, cause: Failure) {
    super(
      `${name} ${diskReason(cause) ?? 'cannot answer now'}; the copy is unfinished, and the same command goes on where it was`,
      { cause },
    );
    this.name = 'CopyBroken';
  }
}

export class Side {
  readonly #store: MovableStore;
  /** As the subject of a sentence. */
  readonly name: string;

  constructor(store: MovableStore, name: string) {
    this.#store = store;
    this.name = name;
  }

  /** @throws CopyBroken where the store is unavailable. */
  async do<Answer>(work: (store: MovableStore) => Promise<Answer>): Promise<Answer> {
    try {
      return await work(this.#store);
    } catch (error) {
      throw error instanceof Failure ? new CopyBroken(this.name, error) : error;
    }
  }

  /** As `MovableStore.batches`. @throws CopyBroken where the store is unavailable. */
  async *batches<Kind extends MovedKind>(kind: Kind, after?: string): AsyncIterable<Batch<Kind>> {
    const batches = this.#store.batches(kind, after)[Symbol.asyncIterator]();
    try {
      for (;;) {
        const { done, value } = await this.do(() => batches.next());
        if (done) return;
        yield value;
      }
    } finally {
      await batches.return?.();
    }
  }
}
