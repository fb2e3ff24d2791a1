/** What people write as values of options, and back. */

import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  type Duration,
  durationMs,
  type Timestamp,
  timestampDate,
  timestampFromMs,
  timestampNow,
} from '@bufbuild/protobuf/wkt';
import { InvalidArgumentError } from 'commander';
import type { OwnerSchema } from '../gen/gatehouse/v1/owner_pb.js';

const UNITS = { w: 604_800_000, d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 } as const;
const SPAN = /^(?:\d{1,9}(?:ms|[wdhms]))+$/;
const A_TIME = 'a time such as 2027-01-01T00:00:00Z, or a date such as 2027-01-01';
const TIME = /^(\d{4}-\d{2}-\d{2})(?:T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2}))?$/i;

/** Milliseconds of `30d`, `12h`, `1h30m`, `500ms`. */
export function parseSpan(text: string): number {
  if (!SPAN.test(text))
    throw new InvalidArgumentError('It must be a duration such as 30d, 12h, 1h30m or 45s.');
  const parts = [...text.matchAll(/(\d+)(ms|[wdhms])/g)];
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * UNITS[unit as keyof typeof UNITS], 0);
}

/** As parseSpan, for a wait: at least 1 ms, and no longer than a timer can count. */
export function parseTimeout(text: string): number {
  const milliseconds = parseSpan(text);
  if (milliseconds < 1 || milliseconds > UNITS.d) throw new InvalidArgumentError('It must be 1ms to 1d.');
  return milliseconds;
}

/** The largest units first, such as `1d12h`; `0s` for none. Below a millisecond nothing is shown. */
export function spanText(duration: Duration): string {
  let rest = durationMs(duration);
  let text = '';
  for (const unit of ['d', 'h', 'm', 's', 'ms'] as const) {
    const count = Math.floor(rest / UNITS[unit]);
    rest -= count * UNITS[unit];
    if (count > 0) text += `${count}${unit}`;
  }
  return text === '' ? '0s' : text;
}

/** A moment such as `2027-01-01T00:00:00Z`, or a date, which is its first moment in UTC. */
export function parseTime(text: string): Timestamp {
  const [, date = ''] = TIME.exec(text) ?? [];
  const milliseconds = Date.parse(text);
  // Date takes the 30th of February for the 2nd of March.
  const exists = date !== '' && new Date(`${date}T00:00:00Z`).toJSON()?.startsWith(date);
  if (!exists || Number.isNaN(milliseconds)) {
    throw new InvalidArgumentError(`It must be ${A_TIME}.`);
  }
  return timestampFromMs(milliseconds);
}

/** As parseTime, and `now`: this moment by the clock of this machine. */
export function parseTimeOrNow(text: string): Timestamp {
  if (text === 'now') return timestampNow();
  try {
    return parseTime(text);
  } catch {
    throw new InvalidArgumentError(`It must be now, or ${A_TIME}.`);
  }
}

/** ISO 8601 in UTC, to the second. */
export function timeText(time: Timestamp): string {
  return timestampDate(time)
    .toISOString()
    .replace(/\.\d+Z$/, 'Z');
}

/** `kind:id`; the id may have colons. */
export function parseOwner(text: string): MessageInitShape<typeof OwnerSchema> {
  const colon = text.indexOf(':');
  if (colon < 1 || colon === text.length - 1) {
    throw new InvalidArgumentError('It must be kind:id, such as user:42.');
  }
  return { kind: text.slice(0, colon), id: text.slice(colon + 1) };
}

/** Collects `k=v` into one record; the value may have equals signs. */
export function collectPair(text: string, before: Record<string, string> = {}): Record<string, string> {
  const equals = text.indexOf('=');
  if (equals < 1) throw new InvalidArgumentError('It must be key=value.');
  return { ...before, [text.slice(0, equals)]: text.slice(equals + 1) };
}

/** Collects an option that may be given several times. */
export function collect(text: string, before: readonly string[] = []): string[] {
  return [...before, text];
}

/** Text that is not left empty, as by a script's variable that is not set: the call would take that for no value. */
export function parseGiven(text: string): string {
  if (text === '') throw new InvalidArgumentError('It must not be empty.');
  return text;
}

/** A whole number of 0 or more. */
export function parseCount(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(text);
}
