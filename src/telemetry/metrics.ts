/** What Prometheus may scrape. Every label has few values, so that no caller can grow the memory. */

import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { MetricsPage, Report } from './reports.ts';
import { type Cell, type Spread, SpreadHistogram, Tally } from './tally.ts';

/** Seconds; a Verify is far left, a change with its confirmation in the middle, a stream far right. */
const BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60];

// Keyspaces are made by administrators, but a bound that nobody meets costs nothing.
const MAX_KEYSPACES = 1000;

/** One finished call. Unknown services and methods are both `unknown`. */
export interface CallMeasure {
  readonly service: string;
  readonly method: string;
  /** gRPC's name of the code, such as `INVALID_ARGUMENT`. */
  readonly code: string;
  readonly seconds: number;
}

/** Tokens judged in one keyspace, by status. */
interface JudgedIn {
  readonly label: string;
  readonly cells: Map<string, Cell>;
}

/** What is counted of one method. */
export class MethodMetrics {
  readonly #cell: (code: string) => Cell;
  readonly #cells = new Map<string, Cell>();
  readonly #durations: Spread;

  constructor(cell: (code: string) => Cell, durations: Spread) {
    this.#cell = cell;
    this.#durations = durations;
  }

  /** One call ended. @param code gRPC's name of it. */
  answered(code: string, seconds: number): void {
    let cell = this.#cells.get(code);
    if (cell === undefined) {
      cell = this.#cell(code);
      this.#cells.set(code, cell);
    }
    cell.count++;
    this.#durations.observe(seconds);
  }
}

export class Metrics implements MetricsPage {
  readonly #registry = new Registry();

  readonly #requests = new Tally(
    this.#registry,
    'gatehouse_rpc_requests_total',
    'Calls answered, by service, method and gRPC code',
    ['service', 'method', 'code'],
  );

  readonly #duration = new SpreadHistogram(
    this.#registry,
    'gatehouse_rpc_duration_seconds',
    'Time from the first byte of a call to the last byte of its answer',
    ['service', 'method'],
    BUCKETS,
  );

  readonly #verdicts = new Tally(
    this.#registry,
    'gatehouse_verify_total',
    'Tokens judged, by keyspace (empty where none was found) and status',
    ['keyspace', 'status'],
  );

  /** By service and method; there are as many as the contract has, and `unknown`. */
  readonly #methods = new Map<string, MethodMetrics>();
  readonly #judged = new Map<string, JudgedIn>();
  readonly #others: JudgedIn = { label: 'other', cells: new Map() };

  readonly #confirmation = new Histogram({
    name: 'gatehouse_change_confirmation_seconds',
    help: 'Time from a change in the store to its confirmation by all replicas',
    buckets: BUCKETS,
    registers: [this.#registry],
  });

  readonly #inFlight = new Gauge({
    name: 'gatehouse_rpc_in_flight',
    help: 'Calls under way, streams included',
    registers: [this.#registry],
  });

  /** @param processMetrics add prom-client's own: CPU, memory, event loop. */
  constructor({ processMetrics = true }: { readonly processMetrics?: boolean } = {}) {
    if (processMetrics) collectDefaultMetrics({ register: this.#registry });
  }

  callStarted(): void {
    this.#inFlight.inc();
  }

  callEnded({ service, method, code, seconds }: CallMeasure): void {
    this.#inFlight.dec();
    this.method(service, method).answered(code, seconds);
  }

  /** What is counted of one method. */
  method(service: string, method: string): MethodMetrics {
    const name = `${service}/${method}`;
    let known = this.#methods.get(name);
    if (known === undefined) {
      const spread = this.#duration.spread({ service, method });
      known = new MethodMetrics((code) => this.#requests.cell({ service, method, code }), spread);
      this.#methods.set(name, known);
    }
    return known;
  }

  changeConfirmed(seconds: number): void {
    this.#confirmation.observe(seconds);
  }

  /** Counts one judged token. `status` is a VerifyStatus of the domain. */
  tokenJudged(keyspace: string | undefined, status: string): void {
    const statuses = this.#statusesOf(keyspace ?? '');
    let cell = statuses.cells.get(status);
    if (cell === undefined) {
      cell = this.#verdicts.cell({ keyspace: statuses.label, status });
      statuses.cells.set(status, cell);
    }
    cell.count++;
  }

  #statusesOf(keyspace: string): JudgedIn {
    const known = this.#judged.get(keyspace);
    if (known !== undefined) return known;
    if (this.#judged.size >= MAX_KEYSPACES) return this.#others;
    const judged = { label: keyspace, cells: new Map() };
    this.#judged.set(keyspace, judged);
    return judged;
  }

  /**
   * Adds a counter that is kept elsewhere, and read when it is scraped.
   *
   * @param label name of its one label; `read` gives a value for each of the label's values.
   */
  watch(name: string, help: string, label: string, read: () => Readonly<Record<string, number>>): void {
    new Counter({
      name,
      help,
      labelNames: [label],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const [value, count] of Object.entries(read())) this.inc({ [label]: value }, count);
      },
    });
  }

  /** Adds a gauge whose value is read when it is scraped. */
  measure(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.#registry],
      collect() {
        this.set(read());
      },
    });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Prometheus' text format. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  report(): Promise<Report> {
    return this.#registry.getMetricsAsJSON();
  }
}
