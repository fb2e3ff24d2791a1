/**
 * The process that runs the workers: it holds the ports' handles, hands connections to the workers in turn, replaces one that
 * dies, and stops them all. It knows no key and opens no store.
 */

import cluster, { type Worker } from 'node:cluster';
import type { Log } from '../telemetry/log.ts';
import { Gathering } from './gathering.ts';
import { watchHandover } from './handover.ts';
import { isOurs, type ToPrimary, type ToWorker, WORKER_ARGUMENT } from './messages.ts';
import { pauseAfter } from './pause.ts';

export interface PrimaryOptions {
  readonly workers: number;
  /** The program that a worker runs. */
  readonly program: string;
  readonly log: Log;
}

/** One of the numbers, and who has it now. */
interface Place {
  readonly number: number;
  readonly process: Worker;
  /** By `performance.now`. */
  readonly startedAt: number;
  /** Whether it has said that it listens. */
  listens: boolean;
  /** Milliseconds that its last start had to wait for. */
  readonly pause: number;
  send(message: ToWorker): void;
  /** Closes the connections that it has not taken. */
  readonly closeUntaken: () => void;
}

/**
 * Starts the workers and runs them until SIGTERM or SIGINT; ends the process then.
 *
 * The first one is started alone: what a first start has to make is made once, and where it cannot be, one line says why, that
 * worker's, and the process ends with its exit code. From then on each that dies is replaced.
 */
export function startPrimary({ workers, program, log }: PrimaryOptions): void {
  if (!cluster.isPrimary) throw new Error('GATEHOUSE_WORKERS must be 1 in a worker of another cluster');
  // In turn, whatever the platform and the environment say: clients keep few connections for long, and by the system's choice
  // most of them may end up with one worker.
  cluster.schedulingPolicy = cluster.SCHED_RR;
  const places = new Map<number, Place>();
  const listening = () => [...places.values()].filter((place) => place.listens);
  const gathering = new Gathering(listening);
  let begun = false;
  let stopping = false;
  let exitCode = 0;

  const start = (number: number, pause: number) => {
    cluster.setupPrimary({ exec: program, args: [WORKER_ARGUMENT, String(number)] });
    const process = cluster.fork();
    const place: Place = {
      number,
      process,
      startedAt: performance.now(),
      listens: false,
      pause,
      send: (message) => void (process.isConnected() && process.send(message)),
      closeUntaken: watchHandover(process),
    };
    places.set(number, place);
    process.on('message', (message: unknown) => {
      if (isOurs<ToPrimary>(message)) heard(place, message);
    });
    process.once('exit', (code, signal) => ended(place, code, signal));
    process.on('error', (err) => {
      log.warn({ err, worker: number }, 'a worker cannot be reached');
      // One that could not even be made never says that it ended.
      if (process.process.pid === undefined) ended(place, 1, '');
    });
  };

  const heard = (place: Place, message: ToPrimary) => {
    if (message.gatehouse === 'gather') gathering.ask(place);
    else if (message.gatehouse === 'report') gathering.reported(place.number, message.round, message.report);
    else {
      place.listens = true;
      log.info({ worker: place.number, pid: place.process.process.pid }, 'a worker listens');
      // It was still starting when the others were told.
      if (stopping) place.send({ gatehouse: 'stop' });
      else if (!begun) {
        begun = true;
        for (let number = 2; number <= workers; number++) start(number, 0);
      }
    }
  };

  const ended = (place: Place, code: number, signal: string) => {
    if (places.get(place.number) !== place) return;
    places.delete(place.number);
    gathering.gone(place);
    if (stopping) {
      if (place.listens && code !== 0) exitCode = 1;
      if (places.size === 0) process.exit(exitCode);
      return;
    }
    if (!begun) {
      if (signal) process.stderr.write(`gatehouse: ${signal} ended the first worker at its start\n`);
      process.exit(signal ? 1 : code);
    }
    // One that never listened may have given connections back, which are on their way to another one now.
    if (place.listens) place.closeUntaken();
    const pause = pauseAfter(performance.now() - place.startedAt, place.pause);
    log.error({ worker: place.number, code, signal, pause_ms: pause }, 'a worker ended and is replaced');
    setTimeout(() => {
      if (!stopping) start(place.number, pause);
    }, pause);
  };

  const stop = () => {
    // A second signal ends it at once.
    if (stopping) {
      for (const { process } of places.values()) process.process.kill('SIGKILL');
      process.exit(1);
    }
    stopping = true;
    for (const place of places.values()) {
      if (place.listens) place.send({ gatehouse: 'stop' });
      // It has no connection yet, and signals still end it; where it has just gone beyond that, it is told when it says so.
      else place.process.process.kill('SIGTERM');
    }
    if (places.size === 0) process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, stop);
  start(1, 0);
}
