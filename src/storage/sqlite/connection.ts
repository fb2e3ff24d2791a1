/** One open data file: prepared statements, transactions, and the driver's errors turned into ours. */

import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import { LRUCache } from 'lru-cache';
import { storeUnavailable } from '../../domain/failure.ts';
import type { Query } from './listing.ts';
import { STATEMENTS, type StatementName } from './statements.ts';
import { WriteQueue } from './write-queue.ts';

// A filter's text depends on which of its fields are set; those in use at one time are few.
const PREPARED_QUERIES = 64;

export class Connection {
  readonly #database: DatabaseSync;
  readonly #statements: Readonly<Record<StatementName, StatementSync>>;
  readonly #queries = new LRUCache<string, StatementSync>({ max: PREPARED_QUERIES });
  readonly #writes: WriteQueue;

  /**
   * @param database open, and of the current schema.
   * @param check throws where writing would be in vain; asked before each transaction.
   */
  constructor(database: DatabaseSync, check?: () => void) {
    this.#database = database;
    const prepared = Object.entries(STATEMENTS).map(([name, { sql }]) => [name, database.prepare(sql)]);
    this.#statements = Object.fromEntries(prepared) as Record<StatementName, StatementSync>;
    this.#writes = new WriteQueue(database, check);
  }

  /** The statement's first row; `Row` is what its columns are, which the caller knows from its text. */
  first<Row>(name: StatementName, ...values: SQLInputValue[]): Row | undefined {
    return this.#statements[name].get(...values) as Row | undefined;
  }

  rows<Row>(name: StatementName, ...values: SQLInputValue[]): Row[] {
    return this.#statements[name].all(...values) as Row[];
  }

  /** @returns whether a row was written. */
  run(name: StatementName, ...values: SQLInputValue[]): boolean {
    return this.#statements[name].run(...values).changes !== 0;
  }

  /** As `run`, with the values by the names of their columns. */
  runNamed(name: StatementName, columns: Record<string, SQLInputValue>): boolean {
    return this.#statements[name].run(columns).changes !== 0;
  }

  query<Row>({ sql, values }: Query): Row[] {
    let statement = this.#queries.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql);
      this.#queries.set(sql, statement);
    }
    return statement.all(...values) as Row[];
  }

  /**
   * Does some reading.
   * @throws Failure `unavailable` for whatever goes wrong: the disk, the file, or that it is closed.
   */
  reading<Answer>(work: () => Answer): Answer {
    try {
      return work();
    } catch (error) {
      throw storeUnavailable(error);
    }
  }

  /**
   * Does some writing as a whole, together with what else is asked for in this turn: on disk where `work` returns true,
   * undone where it returns false or throws.
   * @returns what `work` returned. Rejects with a Failure `unavailable`, as `reading` throws.
   */
  writing(work: () => boolean): Promise<boolean> {
    return this.#writes.add(work, true);
  }

  /** As `writing`, without waiting for the disk: a killed process loses nothing of it, a power failure may. */
  writingUnsynced(work: () => boolean): Promise<boolean> {
    return this.#writes.add(work, false);
  }

  /** Folds the write-ahead log into the data file and lets go of both. */
  close(): void {
    this.#writes.flush();
    if (this.#database.isOpen) this.#database.close();
  }
}
