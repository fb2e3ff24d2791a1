/** What tells whether two stores hold the same records, whatever order each gives them in. */

import { hash } from 'node:crypto';

/** A sum over records: the same records give the same sum in any order, and one more or one less another. */
export class RecordDigest {
  #count = 0;
  #sum = 0n;

  add(record: unknown): void {
    this.#count++;
    this.#sum = BigInt.asUintN(256, this.#sum + BigInt(`0x${hash('sha256', canonicalText(record), 'hex')}`));
  }

  get count(): number {
    return this.#count;
  }

  /** 64 hexadecimal digits: the sum of the records' SHA-256, modulo 2^256. */
  get digest(): string {
    return this.#sum.toString(16).padStart(64, '0');
  }
}

/** JSON in which the order that fields were written in plays no part. */
export function canonicalText(record: unknown): string {
  return JSON.stringify(record, (_, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value) ? inOrder(value) : value,
  );
}

function inOrder(object: object): object {
  return Object.fromEntries(Object.entries(object).sort(([one], [other]) => (one < other ? -1 : 1)));
}
