/**
 * The metrics of several processes on one page. Each has a label of its own and nothing is added up: a sum over processes falls
 * when one of them is replaced, which reads as if all had begun anew, and what each says of itself (its lease, the lag of its
 * event loop) has no sum.
 */

import { AggregatorRegistry, type Registry } from 'prom-client';

/** What one process has counted, in a form that can be sent to another one. */
export type Report = Awaited<ReturnType<Registry['getMetricsAsJSON']>>;

/** What /metrics shows. */
export interface MetricsPage {
  readonly contentType: string;
  /** Prometheus' text format. */
  text(): Promise<string>;
}

/** @param reports by the value of the label `worker`. */
export function textOfReports(reports: Readonly<Record<string, Report>>): Promise<string> {
  const labelled = Object.entries(reports).map(([worker, report]) =>
    report.map((metric) => ({
      ...metric,
      // Of labels that differ, a sum is the value itself. Left to themselves some metrics would be averaged or left out.
      aggregator: 'sum',
      values: metric.values.map((value) => ({ ...value, labels: { ...value.labels, worker } })),
    })),
  );
  return AggregatorRegistry.aggregate(labelled).metrics();
}
