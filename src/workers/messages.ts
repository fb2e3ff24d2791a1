/** What the primary and its workers say to each other. */

import type { Report } from '../telemetry/reports.ts';

/** First argument of a worker's program; the second is its number. It tells it from a worker of somebody else's cluster. */
export const WORKER_ARGUMENT = 'worker';

/** `round` tells an answer that came too late from that to a later question. */
export type ToPrimary =
  | { readonly gatehouse: 'started' }
  | { readonly gatehouse: 'gather' }
  | { readonly gatehouse: 'report'; readonly round: number; readonly report: Report };

export type ToWorker =
  | { readonly gatehouse: 'stop' }
  | { readonly gatehouse: 'report'; readonly round: number }
  | { readonly gatehouse: 'gathered'; readonly reports: Readonly<Record<string, Report>> };

/** Others use the channel as well, such as `node --watch`. */
export function isOurs<Message extends ToPrimary | ToWorker>(message: unknown): message is Message {
  return typeof message === 'object' && message !== null && 'gatehouse' in message;
}
