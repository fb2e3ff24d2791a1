/** An error inside an answer: google.rpc.Status, as the same error would be sent by itself. */

import { create } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import { type Status, StatusSchema } from '../../gen/google/rpc/status_pb.js';
import type { Outcome } from '../errors.ts';

export function statusMessage({ error }: Outcome): Status {
  const details = error.details.flatMap((detail) =>
    'desc' in detail ? [anyPack(detail.desc, create(detail.desc, detail.value))] : [],
  );
  return create(StatusSchema, { code: error.code, message: error.rawMessage, details });
}
