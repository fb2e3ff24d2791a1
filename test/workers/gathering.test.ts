import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Gathering, type Reporter } from '../../src/workers/gathering.ts';
import type { ToWorker } from '../../src/workers/messages.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function worker(number: number) {
  const told: ToWorker[] = [];
  const send = (message: ToWorker) => void told.push(message);
  return { number, send, told } satisfies Reporter & { told: ToWorker[] };
}

test('all who ask meanwhile share one round, and get what all reported', () => {
  const [one, two] = [worker(1), worker(2)];
  const gathering = new Gathering(() => [one, two]);
  gathering.ask(one);
  gathering.ask(two);
  expect([one.told, two.told]).toEqual(Array(2).fill([{ gatehouse: 'report', round: 1 }]));
  gathering.reported(1, 1, []);
  gathering.reported(2, 1, []);
  const gathered = { gatehouse: 'gathered', reports: { 1: [], 2: [] } };
  expect([one.told[1], two.told[1]]).toEqual([gathered, gathered]);
  gathering.ask(one);
  expect(two.told[2]).toEqual({ gatehouse: 'report', round: 2 });
  expect(two.told).toHaveLength(3);
});

test('one that does not report, or dies, or reports too late, holds nobody up and is left out', () => {
  const [one, two] = [worker(1), worker(2)];
  const gathering = new Gathering(() => [one, two]);
  gathering.ask(one);
  gathering.reported(1, 1, []);
  vi.advanceTimersByTime(1000);
  expect(one.told[1]).toEqual({ gatehouse: 'gathered', reports: { 1: [] } });

  gathering.ask(one);
  gathering.reported(2, 1, []);
  gathering.reported(1, 2, []);
  expect(one.told).toHaveLength(3);
  gathering.gone(two);
  expect(one.told[3]).toEqual({ gatehouse: 'gathered', reports: { 1: [] } });
  expect(vi.getTimerCount()).toBe(0);
});
