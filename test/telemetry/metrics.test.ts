import { expect, test } from 'vitest';
import { Metrics } from '../../src/telemetry/metrics.ts';

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
