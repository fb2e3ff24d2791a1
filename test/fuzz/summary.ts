import type { FuzzReport } from './fuzz.ts';

/** A report in lines for people. */
export function summary({
  seed,
  mutations,
  total,
  answers,
  owed,
  seconds,
  faults,
  siege,
  before,
  after,
}: FuzzReport): string {
  const counts = Object.entries(mutations).map(([kind, count]) => `${kind} ${count}`);
  const mib = (value: number) => `${value.toFixed(1)} MiB`;
  return [
    `seed       ${seed}`,
    `mutations  ${total} (${counts.join(', ')}) in ${seconds.toFixed(0)} s`,
    `answers    ${answers}, ${owed} of them owed and whole`,
    `a Verify   ${siege.calls} of them, median ${siege.median.toFixed(1)} ms, slowest ${siege.slowest.toFixed(0)} ms`,
    `live       ${mib(before.heap + before.external)} before, ${mib(after.heap + after.external)} after`,
    `resident   ${mib(before.rss)} before, ${mib(after.rss)} after, at most ${mib(before.rss + siege.peakGrowth)}`,
    `handles    ${before.handles} before, ${after.handles} after; descriptors ${before.descriptors} and ${after.descriptors}; calls in flight ${after.inFlight}`,
    ...(faults.length === 0 ? ['no fault'] : faults.map((fault) => `FAULT      ${fault}`)),
  ].join('\n');
}
