/** A worker's side: what it tells its primary, and what it does at its word. */

import cluster from 'node:cluster';
import { type MetricsPage, type Report, textOfReports } from '../telemetry/reports.ts';
import { isOurs, type ToPrimary, type ToWorker, WORKER_ARGUMENT } from './messages.ts';

/** Milliseconds until a page of metrics is given up: longer than the primary waits for the slowest worker. */
const GATHER_MS = 3000;

type Reports = Readonly<Record<string, Report>>;
type Metrics = MetricsPage & { report(): Promise<Report> };

export interface Worker {
  /** From 1; whoever takes the place of one that died has the same. */
  readonly number: number;
  /** Whether it is the one that starts before all others. */
  readonly first: boolean;
  /** The page with the metrics of all workers. @param own what this one has counted. */
  page(own: Metrics): MetricsPage;
  /** To be called when it listens. @param stop called once, when it is to end. */
  started(stop: () => void): void;
}

/** What this process is; undefined where it is no worker of Gatehouse. */
export function thisWorker(): Worker | undefined {
  const [, , argument, number] = process.argv;
  if (!cluster.isWorker || argument !== WORKER_ARGUMENT) return undefined;
  let gathering: PromiseWithResolvers<Reports> | undefined;
  let reportOwn: (() => Promise<Report>) | undefined;
  let stopNow: (() => void) | undefined;

  process.on('message', (message: unknown) => {
    if (!isOurs<ToWorker>(message)) return;
    if (message.gatehouse === 'stop') stopNow?.();
    else if (message.gatehouse === 'gathered') gathering?.resolve(message.reports);
    else void reportOwn?.().then((report) => tell({ gatehouse: 'report', round: message.round, report }));
  });

  /** Shared by all who ask meanwhile: the metrics are asked for without a key. */
  const gather = () => {
    if (gathering !== undefined) return gathering.promise;
    const mine = Promise.withResolvers<Reports>();
    gathering = mine;
    const timer = setTimeout(() => mine.reject(new Error('the primary does not answer')), GATHER_MS);
    const over = () => {
      clearTimeout(timer);
      gathering = undefined;
    };
    mine.promise.then(over, over);
    tell({ gatehouse: 'gather' });
    return mine.promise;
  };
  return {
    number: Number(number),
    first: cluster.worker?.id === 1,
    page(own) {
      reportOwn = () => own.report();
      // Itself it need not be asked for: also before it has started, and where the primary's time was too short.
      const reports = async () => ({ ...(await gather()), [Number(number)]: await own.report() });
      return { contentType: own.contentType, text: async () => textOfReports(await reports()) };
    },
    started(stop) {
      stopNow = stop;
      // A terminal and a process manager signal all processes. The primary decides for all: it would replace one that
      // ended by itself, and to one the second signal of the same stop would mean to end at once.
      for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => {});
      tell({ gatehouse: 'started' });
    },
  };
}

function tell(message: ToPrimary): void {
  if (process.connected) process.send?.(message);
}
