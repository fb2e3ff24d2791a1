import { expect, test } from 'vitest';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { textOfReports } from '../../src/telemetry/reports.ts';

test('calls and judged tokens are counted by their labels', async () => {
  const metrics = new Metrics({ processMetrics: false });
  metrics.callStarted();
  metrics.callEnded({ service: 's', method: 'm', code: 'OK', seconds: 0.002 });
  metrics.tokenJudged('acme', 'valid');
  metrics.tokenJudged(undefined, 'malformed');
  const text = await metrics.text();
  expect(text).toContain('gatehouse_rpc_requests_total{service="s",method="m",code="OK"} 1');
  expect(text).toContain('gatehouse_rpc_duration_seconds_bucket{le="0.0025",service="s",method="m"} 1');
  expect(text).toContain('gatehouse_verify_total{keyspace="acme",status="valid"} 1');
  expect(text).toContain('gatehouse_verify_total{keyspace="",status="malformed"} 1');
  expect(text).toContain('gatehouse_rpc_in_flight 0');
});

test('two registries do not meet, and process metrics are there unless told otherwise', async () => {
  const [one, other] = [new Metrics(), new Metrics({ processMetrics: false })];
  one.tokenJudged('acme', 'valid');
  expect(await other.text()).not.toContain('acme');
  expect(await one.text()).toContain('process_cpu_seconds_total');
  expect(await other.text()).not.toContain('process_cpu_seconds_total');
});

test('labels stay few, however many keyspaces there are', async () => {
  const metrics = new Metrics({ processMetrics: false });
  for (let count = 0; count < 1500; count++) metrics.tokenJudged(`keyspace-${count}`, 'valid');
  const lines = (await metrics.text())
    .split('\n')
    .filter((line) => line.startsWith('gatehouse_verify_total{'));
  expect(lines).toHaveLength(1001);
  expect(lines.at(-1)).toBe('gatehouse_verify_total{keyspace="other",status="valid"} 500');
});

test('several processes are on one page as they are on their own, each by its label, in one group for each metric', async () => {
  const metrics = [new Metrics(), new Metrics()];
  for (const [index, one] of metrics.entries()) {
    one.callStarted();
    one.callEnded({ service: 's', method: 'm', code: 'OK', seconds: 0.002 * (index + 1) });
    one.changeConfirmed(0.3);
    one.measure('gatehouse_replicas', 'Replicas', () => 2);
  }
  // As between processes.
  const reports = JSON.parse(JSON.stringify(await Promise.all(metrics.map((one) => one.report()))));
  const page = await textOfReports({ 1: reports[0], 2: reports[1] });
  for (const [index, one] of metrics.entries()) {
    const label = `worker="${index + 1}"`;
    // Process metrics change from moment to moment; that they are there is enough.
    const ofOne = page.split('\n').filter((line) => line.includes(label));
    const shown = (lines: string[]) => lines.filter((line) => line.startsWith('gatehouse_')).sort();
    const own = (await one.text())
      .split('\n')
      .map((line) => line.replace(/^(\w+)(?:\{(.*)\})? /, labelled(label)));
    expect(shown(ofOne)).toEqual(shown(own));
    expect(ofOne.join('\n')).toMatch(/process_start_time_seconds\{.*nodejs_version_info\{/s);
  }
  const heads = page.match(/^# TYPE \S+/gm) ?? [];
  expect(new Set(heads).size).toBe(heads.length);
});

function labelled(label: string) {
  return (_line: string, name: string, labels: string | undefined) =>
    `${name}{${labels === undefined ? '' : `${labels},`}${label}} `;
}
