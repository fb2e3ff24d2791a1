/**
 * Writes that are asked for in one turn of the event loop, done in one transaction: SQLite waits for the disk on the
 * calling thread, so many writers at once had better wait for it together.
 */

import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { type Failure, storeUnavailable } from '../../domain/failure.ts';

interface Write {
  /** Does its writing; false: undo it. */
  readonly work: () => boolean;
  /** Whether it must be on disk before it is acknowledged. */
  readonly synced: boolean;
  readonly resolve: (kept: boolean) => void;
  readonly reject: (failure: Failure) => void;
}

export class WriteQueue {
  readonly #database: DatabaseSync;
  readonly #check: () => void;
  readonly #statements: Readonly<Record<keyof typeof SQL, StatementSync>>;
  #waiting: Write[] = [];
  /** The level that the connection is at; unknown until it is first set here. */
  #level: 'FULL' | 'NORMAL' | undefined;

  /** @param check throws where writing would be in vain; asked before each transaction. */
  constructor(database: DatabaseSync, check = () => {}) {
    this.#database = database;
    this.#check = check;
    const prepared = Object.entries(SQL).map(([name, sql]) => [name, database.prepare(sql)]);
    this.#statements = Object.fromEntries(prepared) as Record<keyof typeof SQL, StatementSync>;
  }

  /**
   * Does some writing as a whole: kept where `work` returns true, undone where it returns false or throws.
   *
   * @param synced false: a killed process loses nothing of it, but a power failure may. The log is written in order, so
   *   whatever a later, synced write puts on disk comes with all before it.
   * @returns what `work` returned. Rejects with a Failure `unavailable` for whatever goes wrong.
   */
  add(work: () => boolean, synced: boolean): Promise<boolean> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.length === 0) setImmediate(() => this.flush());
      this.#waiting.push({ work, synced, resolve, reject });
    });
  }

  /** Does all that waits. */
  flush(): void {
    const writes = this.#waiting;
    this.#waiting = [];
    if (writes.length === 0) return;
    try {
      for (const settle of this.#together(writes)) settle();
    } catch (error) {
      for (const { reject } of writes) reject(storeUnavailable(error));
    }
  }

  /** @returns what tells each writer how its write went, to be called after the commit. */
  #together(writes: readonly Write[]): (() => void)[] {
    const { begin, commit, rollback } = this.#statements;
    this.#check();
    this.#synchronize(writes.some(({ synced }) => synced) ? 'FULL' : 'NORMAL');
    try {
      begin.run();
      const settles = writes.map((write) => this.#one(write));
      commit.run();
      return settles;
    } catch (error) {
      // SQLite undoes some failed transactions by itself. Of one left open nothing may reach the next write.
      if (this.#database.isOpen && this.#database.isTransaction) rollback.run();
      throw error;
    }
  }

  // Not a prepared statement: SQLite carries this pragma out when it is prepared, not when it is run.
  #synchronize(level: 'FULL' | 'NORMAL'): void {
    if (this.#level === level) return;
    this.#database.exec(`PRAGMA synchronous = ${level}`);
    this.#level = level;
  }

  /** @throws whatever ended the whole transaction. */
  #one({ work, resolve, reject }: Write): () => void {
    const { savepoint, undo, release } = this.#statements;
    savepoint.run();
    try {
      const kept = work();
      if (!kept) undo.run();
      release.run();
      return () => resolve(kept);
    } catch (error) {
      if (!this.#database.isTransaction) throw error;
      undo.run();
      release.run();
      return () => reject(storeUnavailable(error));
    }
  }
}

const SQL = {
  begin: 'BEGIN IMMEDIATE',
  commit: 'COMMIT',
  rollback: 'ROLLBACK',
  savepoint: 'SAVEPOINT one_write',
  undo: 'ROLLBACK TO one_write',
  release: 'RELEASE one_write',
} as const;
