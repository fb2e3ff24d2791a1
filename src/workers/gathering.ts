/** The primary's side of /metrics: one round of questions at a time, for all workers that want to know. */

import type { Report } from '../telemetry/reports.ts';
import type { ToWorker } from './messages.ts';

/** Milliseconds that a worker has for its report. Without it the page has none of its lines. */
const REPORT_MS = 1000;

export interface Reporter {
  readonly number: number;
  send(message: ToWorker): void;
}

export class Gathering {
  readonly #reporters: () => readonly Reporter[];
  #round = 0;
  #reports: Record<string, Report> = {};
  #missing = new Set<number>();
  readonly #askers = new Set<Reporter>();
  #timer: NodeJS.Timeout | undefined;

  /** @param reporters those that can answer now. */
  constructor(reporters: () => readonly Reporter[]) {
    this.#reporters = reporters;
  }

  /** Somebody asks: it is told what all reported, of the round that runs where there is one. */
  ask(asker: Reporter): void {
    this.#askers.add(asker);
    if (this.#timer !== undefined) return;
    const reporters = this.#reporters();
    this.#reports = {};
    this.#missing = new Set(reporters.map(({ number }) => number));
    const round = ++this.#round;
    this.#timer = setTimeout(() => this.#end(), REPORT_MS);
    for (const reporter of reporters) reporter.send({ gatehouse: 'report', round });
    if (reporters.length === 0) this.#end();
  }

  reported(number: number, round: number, report: Report): void {
    if (round !== this.#round || !this.#missing.delete(number)) return;
    this.#reports[number] = report;
    if (this.#missing.size === 0) this.#end();
  }

  /** It will not answer any more. */
  gone(reporter: Reporter): void {
    this.#askers.delete(reporter);
    if (this.#missing.delete(reporter.number) && this.#missing.size === 0) this.#end();
  }

  #end(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const asker of this.#askers) asker.send({ gatehouse: 'gathered', reports: this.#reports });
    this.#askers.clear();
    this.#missing.clear();
  }
}
