/** The innermost part of the pipeline, inside Connect's router: between a decoded message and its handler. */

import type { DescMethodStreaming, Message } from '@bufbuild/protobuf';
import {
  Code,
  ConnectError,
  type ContextValues,
  type HandlerContext,
  type Interceptor,
  type StreamRequest,
} from '@connectrpc/connect';
import { invalidBody } from './bad-body.ts';
import { tooLarge } from './body.ts';
import { cancelled } from './errors.ts';
import { type Exchange, exchangeKey } from './exchange.ts';
import { maxBytesOf } from './policy.ts';
import type { Running } from './running.ts';
import { assertValid } from './validation.ts';

type Messages = StreamRequest['message'];

/**
 * For the router's `requestGate`: a call that has failed already is refused before its body is touched, in whatever
 * protocol the client speaks.
 */
export function refuseFailed({ values }: HandlerContext): void {
  const { outcome } = exchangeOf(values);
  if (outcome !== undefined) throw outcome.error;
}

/** Validation, the handler raced against the deadline, the error table. */
export function callInterceptor(running: Running): Interceptor {
  return (next) => async (request) => {
    const exchange = exchangeOf(request.contextValues);
    exchange.decoded = true;
    try {
      if (!request.stream) {
        assertValid(request.method.input, request.message);
        return await exchange.orAborted(running.track(next(request)));
      }
      const message = inputOf(request);
      const response = await exchange.orAborted(running.track(next({ ...request, message })));
      return response.stream
        ? { ...response, message: guarded(response.message, exchange, running) }
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

/** A single request is validated here; those of a client's stream by their handler, which may answer each by itself. */
function inputOf({ method, message }: StreamRequest): Messages {
  const messages = decoded(method, message);
  return method.methodKind === 'server_streaming' ? validated(method, messages) : messages;
}

/** A message that does not decode ends the stream, without its words. */
async function* decoded(method: DescMethodStreaming, messages: Messages): Messages {
  try {
    yield* messages;
  } catch (error) {
    throw undecodable(method, error);
  }
}

async function* validated(method: DescMethodStreaming, messages: Messages): Messages {
  for await (const message of messages) {
    assertValid(method.input, message);
    yield message;
  }
}

function undecodable(method: DescMethodStreaming, error: unknown): Error {
  // The request's own stream broke.
  if (!(error instanceof ConnectError) || error.code === Code.Canceled || error.code === Code.Aborted)
    return cancelled();
  if (error.code === Code.ResourceExhausted) return tooLarge(maxBytesOf(method));
  if (error.code === Code.Unimplemented) return error;
  return invalidBody(`a message of the stream is no ${method.input.typeName}`);
}

/** The answers of a stream, until it ends, fails or is aborted. */
async function* guarded(
  messages: AsyncIterable<Message>,
  exchange: Exchange,
  running: Running,
): AsyncIterable<Message> {
  const iterator = messages[Symbol.asyncIterator]();
  try {
    for (;;) {
      const { done, value } = await exchange.orAborted(running.track(iterator.next()));
      if (done) return;
      yield value;
    }
  } catch (error) {
    throw exchange.fail(error).error;
  } finally {
    // Not awaited: a handler that hangs would keep the answer back.
    iterator.return?.()?.catch(exchange.late);
  }
}
