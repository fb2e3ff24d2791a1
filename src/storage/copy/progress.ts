/** How a copy tells how far it is, and is told to stop. */

import type { MovedKind } from '../movable-store.ts';

export type CopyStep = 'copying' | 'verifying';

export interface CopyOptions {
  /** Aborted: the copy ends between two batches with the signal's reason. */
  readonly signal: AbortSignal;
  /** Told after each batch. `total`: about how many records it will be. */
  readonly onProgress: (step: CopyStep, done: number, total: number) => void;
}

/** Records of all kinds. */
export function sum(counts: Readonly<Record<MovedKind, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}
