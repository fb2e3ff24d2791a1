/** The caller of a handler's call, as the operations in `keys/` want it. */

import type { HandlerContext } from '@connectrpc/connect';
import type { Caller, CallOrigin } from '../../domain/caller.ts';
import { optional } from '../../domain/optional.ts';
import { callerOf, callOf } from '../call.ts';

/** @throws Failure `unauthenticated` where the call has none. */
export function requireCaller(context: HandlerContext): Caller {
  return callerOf(callOf(context));
}

/** @throws Failure `unauthenticated` where the call has no caller. */
export function originOf(context: HandlerContext): CallOrigin {
  const call = callOf(context);
  return {
    caller: callerOf(call),
    requestId: call.requestId,
    ...optional('clientIp', call.peerAddress),
    ...optional('onBehalfOf', call.onBehalfOf),
  };
}
