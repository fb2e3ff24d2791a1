/**
 * The pipeline around every call, undecodable ones included: route, deadline, in-flight bound, caller, body, decoding,
 * validation, handler, error table, one log line, metrics.
 */

import { ConnectError, type ConnectRouter } from '@connectrpc/connect';
import type { UniversalHandler } from '@connectrpc/connect/protocol';
import { Failure } from '../domain/failure.ts';
import { Health } from '../gen/grpc/health/v1/health_pb.js';
import { CallLog, type Verdict } from '../telemetry/call-log.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { VerifyLog } from '../telemetry/verify-log.ts';
import { type Answer, isError, plainError, wholeAnswer, writeAnswer, writeStream } from './answer.ts';
import { assertUtf8, explainBody } from './bad-body.ts';
import { isCompressed } from './body.ts';
import { type BodyStart, Exchange } from './exchange.ts';
import { HealthBoard } from './health.ts';
import { ANSWERS, BODIES, HeldBytes } from './held.ts';
import { type Authenticate, identifyCaller, openCall, readBody } from './intake.ts';
import { callInterceptor } from './interceptor.ts';
import type { StreamLane } from './lane/stream-lane.ts';
import { type NodeRequest, type NodeResponse, pathOf } from './node-http.ts';
import { type MethodPolicy, policyOf, UNKNOWN_METHOD } from './policy.ts';
import { ACCEPTED_CONTENT_TYPES, carries, type Protocol, protocolOf } from './protocol.ts';
import { serveReflection } from './reflection.ts';
import {
  methodNotAllowed,
  needsHttp2,
  nothingHere,
  notOffered,
  stopping,
  unknownMethod,
  unsupportedType,
} from './refusals.ts';
import { onlyValue } from './request-headers.ts';
import { buildRoutes } from './router.ts';
import { DEFAULT_LIMITS, type Limits, Running } from './running.ts';
import { universalRequest } from './universal-request.ts';
import { warmValidator } from './validation.ts';

export interface PipelineOptions {
  /** Adds the services; health and reflection are added here. */
  readonly routes: (router: ConnectRouter) => void;
  readonly authenticate: Authenticate;
  /** `open`: AuthService answers anyone who can reach the port. */
  readonly verifyAccess: 'key' | 'open';
  readonly log: Log;
  readonly verifyLog: VerifyLog;
  readonly metrics: Metrics;
  /** A shorter way for the plain questions of a VerifyStream; absent: none. */
  readonly streams?: StreamLane;
  readonly limits?: Limits;
}

interface Route {
  readonly handler: UniversalHandler;
  readonly policy: MethodPolicy;
}

const RPC_PATH = /^\/[A-Za-z_][\w.]*\/[A-Za-z_]\w*$/;

/** Builds the pipeline. */
export function createPipeline(options: PipelineOptions): Pipeline {
  return new Pipeline(options);
}

export class Pipeline {
  readonly #log: Log;
  readonly #metrics: Metrics;
  /** Its lines, for whoever answers calls past this pipeline. */
  readonly callLog: CallLog;
  readonly #running: Running;
  readonly #bodies = new HeldBytes(BODIES);
  readonly #answers = new HeldBytes(ANSWERS);
  readonly #authenticate: Authenticate;
  readonly #streams: StreamLane | undefined;
  readonly #health = new HealthBoard();
  readonly #routes = new Map<string, Route>();
  readonly #handlers: readonly UniversalHandler[];
  /** Speaks every protocol for calls that have no handler. */
  readonly #anyHandler: UniversalHandler;
  /** Calls under way. */
  readonly #open = new Set<Exchange>();
  #draining = false;

  constructor(options: PipelineOptions) {
    this.#log = options.log;
    this.#metrics = options.metrics;
    this.callLog = new CallLog(options.log, options.verifyLog);
    this.#running = new Running(options.limits ?? DEFAULT_LIMITS);
    this.#authenticate = options.authenticate;
    this.#streams = options.streams;
    const { handlers, services, offered } = buildRoutes((router) => {
      options.routes(router);
      router.service(Health, this.#health.service());
      serveReflection(router);
    }, callInterceptor(this.#running));
    this.#health.register(services.map(({ typeName }) => typeName));
    for (const handler of handlers) {
      const policy = policyOf(handler.method, options.verifyAccess, offered.has(handler.method));
      this.#routes.set(handler.requestPath, { handler, policy });
    }
    const anyRoute = this.#routes.get(`/${Health.typeName}/${Health.method.check.name}`);
    if (anyRoute === undefined) throw new Error('the health service is missing');
    this.#anyHandler = anyRoute.handler;
    this.#handlers = handlers;
  }

  /** Makes ready what the first call of each method would have to wait for. Rejects where a rule of the schema is broken. */
  warm(): Promise<void> {
    return warmValidator(this.#handlers.map(({ method }) => method.input));
  }

  /** Serves one request of either server. Never throws. @param bodyStart what was read of its body already. */
  handle(request: NodeRequest, response: NodeResponse, bodyStart?: BodyStart): void {
    void this.#running.track(this.#serve(request, response, bodyStart));
  }

  /** From now on HTTP/1.1 clients are asked to go elsewhere, and health says NOT_SERVING. */
  beginDrain(): void {
    this.#draining = true;
    for (const exchange of this.#open) exchange.closing = true;
    this.#health.stop();
  }

  /** Ends the streams that are still open, so that a stop need not wait for clients that would watch for ever. */
  endStreams(): void {
    for (const exchange of this.#open) if (exchange.policy.streaming) exchange.abort(stopping());
  }

  /** Answers all that is under way with UNAVAILABLE. */
  endAll(): void {
    for (const exchange of this.#open) exchange.abort(stopping());
  }

  /** Resolves once no call is under way, nor any handler of one. */
  idle(): Promise<void> {
    return this.#running.idle();
  }

  async #serve(
    request: NodeRequest,
    response: NodeResponse,
    bodyStart: BodyStart | undefined,
  ): Promise<void> {
    const route = this.#routes.get(pathOf(request));
    const exchange = new Exchange(request, response, route?.policy ?? UNKNOWN_METHOD, this.#late);
    exchange.bodyStart = bodyStart;
    exchange.onVerdict = (verdict, begunAt) => this.#recordVerdict(exchange, verdict, begunAt);
    exchange.answers = this.#answers;
    exchange.closing = this.#draining;
    this.#open.add(exchange);
    this.#metrics.callStarted();
    try {
      await this.#answer(exchange, route?.handler);
      exchange.answered();
    } catch (error) {
      // A defect of the pipeline itself, or a stream that broke while it was being written.
      exchange.fail(exchange.signal.aborted ? exchange.signal.reason : error);
      response.destroy();
    } finally {
      this.#open.delete(exchange);
      this.#record(exchange);
    }
  }

  #recordVerdict(exchange: Exchange, verdict: Verdict, begunAt: number): void {
    this.#metrics.tokenJudged(verdict.keyspace, verdict.status);
    if (verdict.errorId === undefined && !this.callLog.wantsVerdict(verdict.status !== 'valid')) return;
    const durationMs = performance.now() - begunAt;
    this.callLog.writeVerdict({ ...exchange.record(), durationMs, count: undefined }, verdict);
  }

  #record(exchange: Exchange): void {
    const { service, method } = exchange.policy;
    const record = exchange.end();
    this.callLog.write(record);
    for (const { keyspace, status } of record.verdicts) this.#metrics.tokenJudged(keyspace, status);
    this.#metrics.callEnded({ service, method, code: record.code, seconds: record.durationMs / 1000 });
  }

  async #answer(exchange: Exchange, handler: UniversalHandler | undefined): Promise<void> {
    const protocol = protocolOf(onlyValue(exchange.headers, 'content-type'));
    const { request, policy } = exchange;
    if (handler === undefined) return this.#answerUnknown(exchange, protocol);
    if (request.method !== 'POST') return refusePlain(exchange, 405, methodNotAllowed(), { allow: 'POST' });
    if (protocol === undefined || !carries(protocol, policy.streaming)) {
      return refusePlain(exchange, 415, unsupportedType(policy), { 'accept-post': ACCEPTED_CONTENT_TYPES });
    }
    if (handler.method.methodKind === 'bidi_streaming' && request.httpVersionMajor < 2) {
      return refusePlain(exchange, 505, needsHttp2());
    }
    return this.#call(exchange, handler, protocol);
  }

  async #answerUnknown(exchange: Exchange, protocol: Protocol | undefined): Promise<void> {
    const failure = RPC_PATH.test(pathOf(exchange.request)) ? unknownMethod() : nothingHere();
    if (protocol === undefined || protocol.name === 'connect') return refusePlain(exchange, 404, failure);
    return writeAnswer(exchange, await refusal(exchange, this.#anyHandler, protocol, failure));
  }

  async #call(exchange: Exchange, handler: UniversalHandler, protocol: Protocol): Promise<void> {
    let release = () => {};
    try {
      const compressed = isCompressed(exchange.headers, protocol);
      openCall(exchange, protocol);
      if (!exchange.policy.offered) {
        await identifyCaller(this.#authenticate, exchange, false);
        // Before a look at its fields: nobody is to fill them in first and learn of this afterwards.
        throw notOffered(exchange.policy.method);
      }
      if (exchange.policy.streaming) {
        release = this.#running.admit(exchange.policy);
        await identifyCaller(this.#authenticate, exchange, true);
        await this.#answerStream(exchange, handler, protocol);
      } else {
        await identifyCaller(this.#authenticate, exchange, false);
        const message = await readBody(exchange, protocol, compressed, this.#bodies);
        // Not before: a place that waits for its body is one that anyone with a key could keep.
        release = this.#running.admit(exchange.policy);
        await identifyCaller(this.#authenticate, exchange, true);
        const answer = await unary(exchange, handler, protocol, message);
        // Nor after this: one that waits for its reader would be kept just so.
        release();
        await writeAnswer(exchange, answer);
      }
    } catch (error) {
      if (exchange.response.headersSent) throw error;
      release();
      await writeAnswer(exchange, await refusal(exchange, handler, protocol, error));
    } finally {
      release();
    }
  }

  async #answerStream(exchange: Exchange, handler: UniversalHandler, protocol: Protocol): Promise<void> {
    const short = this.#streams?.take(exchange);
    try {
      const request = universalRequest(exchange, protocol, undefined, short?.unanswered());
      await writeStream(exchange, await handler(request), () => short?.stop());
    } finally {
      short?.stop();
    }
  }

  // The client was told something else by then, so the log is all that is left. Refusals are no news.
  readonly #late = ({ requestId }: Exchange, error: unknown): void => {
    if (error instanceof Failure || error instanceof ConnectError) return;
    this.#log.warn({ request_id: requestId, err: error }, 'failed after the call had ended');
  };
}

/** Decodes the message and calls the handler, through Connect's router. */
async function unary(
  exchange: Exchange,
  handler: UniversalHandler,
  protocol: Protocol,
  message: Uint8Array,
): Promise<Answer> {
  if (protocol.json) assertUtf8(message);
  const answer = await answered(exchange, handler, protocol, message);
  if (!exchange.decoded || answer === undefined)
    throw explainBody(handler.method.input, message, protocol.json);
  // An error that the interceptor does not know of: the handler's answer does not fit the schema.
  if (exchange.outcome === undefined && isError(protocol, answer))
    throw new Error('the answer cannot be encoded');
  return answer;
}

/** Undefined where the message was not decoded, and the words for that could not be written. */
async function answered(
  exchange: Exchange,
  handler: UniversalHandler,
  protocol: Protocol,
  message: Uint8Array,
): Promise<Answer | undefined> {
  try {
    return await wholeAnswer(await handler(universalRequest(exchange, protocol, message)));
  } catch (error) {
    // Connect quotes the message, and where the quotation ends within a character it cannot encode that.
    if (exchange.decoded || exchange.signal.aborted) throw error;
    return undefined;
  }
}

/** The answer to a call that its handler is not to see, in the protocol that the client speaks. */
async function refusal(
  exchange: Exchange,
  handler: UniversalHandler,
  protocol: Protocol,
  thrown: unknown,
): Promise<Answer> {
  exchange.fail(thrown);
  return wholeAnswer(await handler(universalRequest(exchange, protocol, new Uint8Array())));
}

/** The answer to a request that is no call, in any protocol. */
function refusePlain(
  exchange: Exchange,
  status: number,
  failure: Failure,
  headers?: Record<string, string>,
): Promise<void> {
  return writeAnswer(exchange, plainError(status, exchange.fail(failure).error, headers));
}
