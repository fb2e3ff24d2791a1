/** What to say where no server answered. */

import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { RpcError } from '../client/rpc-error.ts';
import { spanText } from './values.ts';

/** An error that no Gatehouse made says where the answer should have come from. */
export function namingServer(error: RpcError, server: string, timeout: number): RpcError {
  if (error.reason !== undefined) return error;
  if (error.code === 'DEADLINE_EXCEEDED') {
    return new RpcError(error.code, `${server} gave no answer within ${spanText(durationFromMs(timeout))}`);
  }
  if (error.code !== 'UNAVAILABLE') return error;
  return new RpcError(error.code, `no connection to ${server}: ${causeOf(error.message)}`);
}

/**
 * What is worth knowing of grpc-js' account of it, such as "No connection established. Last error: Error: connect
 * ECONNREFUSED 127.0.0.1:1. Resolution note: ".
 */
function causeOf(message: string): string {
  const [, last = message] =
    /Last error: (?:Error: )?(.+?)[\s.]*(?:Resolution note:.*)?$/s.exec(message) ?? [];
  const [, tls] = /:SSL routines:[^:]*:([^:]+)/.exec(last) ?? [];
  if (tls !== undefined) return `TLS says "${tls}"`;
  if (last.startsWith('Protocol error'))
    return 'what listens there does not speak gRPC; is it the gRPC port?';
  return last.includes('ECONNREFUSED') ? `${last}; is the server running?` : last;
}
