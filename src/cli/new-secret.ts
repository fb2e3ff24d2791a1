/** What is printed of a key that has got a secret: the key, and the secret, once. */

import type { Key } from '../gen/gatehouse/v1/key_pb.js';
import { keyRows } from './key-view.ts';
import { details } from './table.ts';

/** @param answer of a call that makes a secret; one that was replayed has none. */
export function withSecret(answer: {
  readonly key?: Key | undefined;
  readonly secret: string;
  readonly replayed: boolean;
}): string {
  const lines = [details(keyRows(answer.key)), ''];
  if (answer.replayed) {
    lines.push(
      'This request id was used before. Nothing was done now, and the secret is not shown again.',
      'If it got lost, rotate the key, under another request id.',
    );
  } else {
    lines.push('The secret, shown once; nobody can show it again:', details([[answer.secret, '']]));
  }
  return lines.join('\n');
}
