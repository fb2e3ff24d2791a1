/** What a directed scenario is: faults and changes in an order that is most likely to break one guarantee. */

import { setTimeout } from 'node:timers/promises';
import type { Credential } from './checker.ts';
import type { Clients } from './clients.ts';
import type { Cluster, ClusterOptions, Replica } from './cluster.ts';
import type { Answer } from './service.ts';

export interface Scenario {
  /** The guarantee. */
  readonly name: string;
  /** What the cluster must be, where it is not the usual one. */
  readonly options?: Pick<ClusterOptions, 'copies' | 'clocks'>;
  /**
   * Begins with a cluster of three replicas that are all well, and may leave it harmed. Wrong answers are with the
   * clients; what else is not as it must be is thrown.
   */
  run(cluster: Cluster, clients: Clients): Promise<void>;
}

/** @throws Error where a call was not answered with OK. */
export function requireOk(answer: Answer): Answer {
  if (answer.code === 'ok') return answer;
  throw new Error(`answered ${answer.code} ${answer.reason ?? ''} instead of OK`);
}

/** @throws Error where a call was not refused for this reason. */
export function requireReason(answer: Answer, reason: string): Answer {
  if (answer.reason === reason) return answer;
  throw new Error(`answered ${answer.code} ${answer.reason ?? ''} instead of ${reason}`);
}

/** @throws Error where something does not come to hold in so many milliseconds. */
export async function within(what: string, ms: number, holds: () => Promise<boolean>): Promise<number> {
  const begun = performance.now();
  for (;;) {
    if (await holds()) return performance.now() - begun;
    if (performance.now() - begun > ms) throw new Error(`not within ${ms} ms: ${what}`);
    await setTimeout(20);
  }
}

/** Asks one replica again and again for a while; wrong answers are noted. */
export async function watch(
  clients: Clients,
  replica: Replica,
  credential: Credential,
  ms: number,
): Promise<void> {
  const end = performance.now() + ms;
  while (performance.now() < end) {
    await clients.verify(replica, credential);
    await setTimeout(5);
  }
}

/** Waits until a replica refuses what was taken away, which nobody has confirmed; later than that is wrong. */
export async function refusedWithin(
  clients: Clients,
  replica: Replica,
  credential: Credential,
  ms: number,
): Promise<void> {
  try {
    await within('', ms, async () => (await clients.verify(replica, credential)).answer === 'invalid');
  } catch {
    clients.violations.push(`${credential.name} is still accepted by ${replica.name} after ${ms} ms`);
  }
}
