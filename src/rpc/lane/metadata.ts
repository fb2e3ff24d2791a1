/** What the lane reads of a call's headers, in one pass. */

import type { RawHeaders } from '../request-headers.ts';

export interface LaneMetadata {
  authorization: string | undefined;
  apiKey: string | undefined;
  requestId: string | undefined;
  /** Then an answer may be compressed, and says so whether it is or not. */
  acceptsGzip: boolean;
}

/**
 * @returns undefined for what the lane does not interpret: another protocol, compression, a deadline that is over or does
 *   not parse, a header of ours that is repeated or that it does not know. Headers of others are nobody's business here.
 */
export function readMetadata(raw: RawHeaders): LaneMetadata | undefined {
  const read: LaneMetadata = {
    authorization: undefined,
    apiKey: undefined,
    requestId: undefined,
    acceptsGzip: false,
  };
  let [isGrpc, isTimed, isNamed] = [false, false, false];
  for (let index = 0; index < raw.length; index += 2) {
    const value = raw[index + 1] ?? '';
    // HTTP/2 knows no capital letters in names.
    switch (raw[index]) {
      case ':method':
        if (value !== 'POST') return undefined;
        break;
      case 'content-type':
        if (isGrpc || (value !== 'application/grpc' && value !== 'application/grpc+proto')) return undefined;
        isGrpc = true;
        break;
      case 'authorization':
        if (read.authorization !== undefined) return undefined;
        read.authorization = value;
        break;
      case 'x-api-key':
        if (read.apiKey !== undefined) return undefined;
        read.apiKey = value;
        break;
      case 'x-request-id':
        if (read.requestId !== undefined) return undefined;
        read.requestId = value;
        break;
      case 'grpc-timeout':
        // What is longer than a call may take here needs no timer.
        if (isTimed || !LONG_ENOUGH.test(value)) return undefined;
        isTimed = true;
        break;
      case 'grpc-encoding':
        if (isNamed || value !== 'identity') return undefined;
        isNamed = true;
        break;
      case 'grpc-accept-encoding':
        read.acceptsGzip ||= GZIP.test(value);
        break;
      case 'x-gatehouse-on-behalf-of':
        return undefined;
    }
  }
  return isGrpc ? read : undefined;
}

const GZIP = /(?:^|,)\s*gzip\s*(?:,|$)/;
/** 20 milliseconds or more, in any unit: a call is not waited for any longer (see http2-lane.ts). */
const LONG_ENOUGH =
  /^[1-9]\d{0,7}[HMS]$|^(?:[2-9]\d|[1-9]\d{2,7})m$|^(?:[2-9]\d{4}|[1-9]\d{5,7})u$|^[2-9]\d{7}n$/;
