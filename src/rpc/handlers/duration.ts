/** Durations between protobuf and milliseconds. */

import { create } from '@bufbuild/protobuf';
import { type Duration, DurationSchema } from '@bufbuild/protobuf/wkt';

/** Whole milliseconds of a duration; parts of one are cut off. */
export function durationMilliseconds({ seconds, nanos }: Duration): number {
  return Number(seconds) * 1000 + Math.trunc(nanos / 1_000_000);
}

export function durationMessage(milliseconds: number): Duration {
  return create(DurationSchema, {
    seconds: BigInt(Math.trunc(milliseconds / 1000)),
    nanos: (milliseconds % 1000) * 1_000_000,
  });
}
