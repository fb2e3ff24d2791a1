/**
 * Counters and a histogram for what happens tens of thousands of times a second: prom-client takes a microsecond to find a
 * value by its labels, so here each value is looked up once and then counted in place.
 */

import { Counter, Histogram, type MetricObject, type Registry } from 'prom-client';

type Labels = Readonly<Record<string, string>>;

/** One value of a counter. */
export interface Cell {
  count: number;
}

/** A counter whose values are counted by whoever asked for them. */
export class Tally {
  readonly #cells: { readonly labels: Labels; readonly cell: Cell }[] = [];

  constructor(registry: Registry, name: string, help: string, labelNames: readonly string[]) {
    const cells = this.#cells;
    new Counter({
      name,
      help,
      labelNames: [...labelNames],
      registers: [registry],
      collect() {
        this.reset();
        for (const { labels, cell } of cells) this.inc({ ...labels }, cell.count);
      },
    });
  }

  /** Call it once for the same labels. */
  cell(labels: Labels): Cell {
    const cell = { count: 0 };
    this.#cells.push({ labels, cell });
    return cell;
  }
}

/** One value of a histogram. */
export class Spread {
  readonly #bounds: readonly number[];
  /** Values up to each bound and above the one before; last, those above all. */
  readonly counts: Float64Array;
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    let index = 0;
    while (index < this.#bounds.length && value > (this.#bounds[index] as number)) index++;
    (this.counts[index] as number)++;
    this.sum += value;
  }
}

/** A histogram whose values are observed by whoever asked for them. */
export class SpreadHistogram extends Histogram {
  readonly #name: string;
  readonly #help: string;
  readonly #bounds: readonly number[];
  readonly #spreads: { readonly labels: Labels; readonly spread: Spread }[] = [];

  constructor(
    registry: Registry,
    name: string,
    help: string,
    labelNames: readonly string[],
    bounds: readonly number[],
  ) {
    super({ name, help, labelNames: [...labelNames], buckets: [...bounds], registers: [registry] });
    this.#name = name;
    this.#help = help;
    this.#bounds = bounds;
  }

  /** Call it once for the same labels. */
  spread(labels: Labels): Spread {
    const spread = new Spread(this.#bounds);
    this.#spreads.push({ labels, spread });
    return spread;
  }

  override async get() {
    const values = this.#spreads.flatMap(({ labels, spread }) => {
      let total = 0;
      const buckets = [...this.#bounds, '+Inf'].map((le, index) => {
        total += spread.counts[index] ?? 0;
        return { metricName: `${this.#name}_bucket`, labels: { le, ...labels }, value: total };
      });
      const whole = (suffix: string, value: number) => ({
        metricName: `${this.#name}_${suffix}`,
        labels: { ...labels },
        value,
      });
      return [...buckets, whole('sum', spread.sum), whole('count', total)];
    });
    // As prom-client's own; its types have the kind as an enum that is not there at run time.
    const type = 'histogram' as unknown as MetricObject['type'];
    return {
      name: this.#name,
      help: this.#help,
      type,
      aggregator: 'sum' as const,
      values,
      collect: () => {},
    };
  }

  /** What the registry calls for Prometheus' text. */
  getForPromString() {
    return this.get();
  }
}
