/** The innermost part of the pipeline, inside Connect's router: between a decoded message and its handler. */

import type { DescMessage, DescMethodStreaming, Message, MessageShape } from '@bufbuild/protobuf';
import {
  Code,
  ConnectError,
  type ContextValues,
  createContextKey,
  type HandlerContext,
  type Interceptor,
  type StreamRequest,
  type StreamResponse,
} from '@connectrpc/connect';
import { Failure } from '../domain/failure.ts';
import { invalidBody } from './bad-body.ts';
import { tooLarge } from './body.ts';
import { orAborted } from './deadline.ts';
import { cancelled } from './errors.ts';
import type { Exchange } from './exchange.ts';
import { maxBytesOf } from './policy.ts';
import type { Running } from './running.ts';
import { assertValid } from './validation.ts';

export const exchangeKey = createContextKey<Exchange | undefined>(undefined, {
  description: 'gatehouse exchange',
});

/** Set: the call is refused with it before its body is touched, in whatever protocol the client speaks. */
export const refusalKey = createContextKey<ConnectError | undefined>(undefined, {
  description: 'gatehouse refusal',
});

/** For the router's `requestGate`. */
export function refuseEarly({ values }: HandlerContext): void {
  const refusal = values.get(refusalKey);
  if (refusal !== undefined) throw refusal;
}

export interface InterceptorParts {
  readonly running: Running;
  /** Told of an error of a handler whose call had ended before. */
  readonly late: (exchange: Exchange, error: unknown) => void;
}

/** Validation, the handler raced against the deadline, the error table. */
export function callInterceptor({ running, late }: InterceptorParts): Interceptor {
  return (next) => async (request) => {
    const exchange = exchangeOf(request.contextValues);
    exchange.reached = true;
    const onLate = (error: unknown) => late(exchange, error);
    try {
      if (!request.stream) {
        assertValid(request.method.input, request.message);
        return await orAborted(running.track(next(request)), exchange.signal, onLate);
      }
      // A single request is read in here; a client's stream is read by its handler.
      const opening = running.track(next(withCheckedInput(request)));
      const response = await orAborted(opening, exchange.signal, onLate);
      return response.stream
        ? { ...response, message: guarded(response, exchange, running, onLate) }
        : response;
    } catch (error) {
      throw exchange.fail(error).error;
    }
  };
}

function exchangeOf(values: ContextValues): Exchange {
  const exchange = values.get(exchangeKey);
  if (exchange === undefined) throw new Error('the router was called around the pipeline');
  return exchange;
}

function withCheckedInput(request: StreamRequest): StreamRequest {
  return { ...request, message: checkedInput(request.method, request.message) };
}

/**
 * The messages of a stream. One that does not decode ends the stream without its words; a single request is validated
 * here, those of a client's stream by their handler, which may answer each by itself.
 */
async function* checkedInput(
  method: DescMethodStreaming,
  messages: AsyncIterable<MessageShape<DescMessage>>,
): AsyncIterable<Message> {
  const iterator = messages[Symbol.asyncIterator]();
  try {
    for (;;) {
      const { done, value } = await iterator.next().catch((error: unknown) => {
        throw undecodable(method, error);
      });
      if (done) return;
      if (method.methodKind === 'server_streaming') assertValid(method.input, value);
      yield value;
    }
  } finally {
    await iterator.return?.();
  }
}

function undecodable(method: DescMethodStreaming, error: unknown): Error {
  if (error instanceof Failure) return error;
  // The request's own stream broke.
  if (!(error instanceof ConnectError) || error.code === Code.Canceled || error.code === Code.Aborted)
    return cancelled();
  if (error.code === Code.ResourceExhausted) return tooLarge(maxBytesOf(method));
  if (error.code === Code.Unimplemented) return error;
  return invalidBody(`a message of the stream is no ${method.input.typeName}`);
}

/** The answers of a stream, until it ends, fails or is aborted. */
async function* guarded(
  { message }: StreamResponse,
  exchange: Exchange,
  running: Running,
  late: (error: unknown) => void,
): AsyncIterable<Message> {
  const iterator = message[Symbol.asyncIterator]();
  try {
    for (;;) {
      const { done, value } = await orAborted(running.track(iterator.next()), exchange.signal, late);
      if (done) return;
      yield value;
    }
  } catch (error) {
    throw exchange.fail(error).error;
  } finally {
    // Not awaited: a handler that hangs would keep the answer back.
    iterator.return?.()?.catch(late);
  }
}
