/** What Prometheus may scrape. Every label has few values, so that no caller can grow the memory. */

import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

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

export class Metrics {
  readonly #registry = new Registry();
  readonly #keyspaces = new Set<string>();

  readonly #requests = new Counter({
    name: 'gatehouse_rpc_requests_total',
    help: 'Calls answered, by service, method and gRPC code',
    labelNames: ['service', 'method', 'code'] as const,
    registers: [this.#registry],
  });

  readonly #duration = new Histogram({
    name: 'gatehouse_rpc_duration_seconds',
    help: 'Time from the first byte of a call to the last byte of its answer',
    labelNames: ['service', 'method'] as const,
    buckets: BUCKETS,
    registers: [this.#registry],
  });

  readonly #verdicts = new Counter({
    name: 'gatehouse_verify_total',
    help: 'Tokens judged, by keyspace (empty where none was found) and status',
    labelNames: ['keyspace', 'status'] as const,
    registers: [this.#registry],
  });

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

  callEnded(call: CallMeasure): void {
    const { service, method, code, seconds } = call;
    this.#inFlight.dec();
    this.#requests.inc({ service, method, code });
    this.#duration.observe({ service, method }, seconds);
  }

  changeConfirmed(seconds: number): void {
    this.#confirmation.observe(seconds);
  }

  /** Counts one judged token. `status` is a VerifyStatus of the domain. */
  tokenJudged(keyspace: string | undefined, status: string): void {
    this.#verdicts.inc({ keyspace: this.#keyspaceLabel(keyspace ?? ''), status });
  }

  #keyspaceLabel(keyspace: string): string {
    if (this.#keyspaces.has(keyspace)) return keyspace;
    if (this.#keyspaces.size >= MAX_KEYSPACES) return 'other';
    this.#keyspaces.add(keyspace);
    return keyspace;
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
}
