/**
 * The pipeline around every call, undecodable ones included: route, deadline, in-flight bound, caller, body, decoding,
 * validation, handler, error table, one log line, metrics.
 */

import { ConnectError, type ConnectRouter, createContextValues } from '@connectrpc/connect';
import type { UniversalHandler, UniversalServerResponse } from '@connectrpc/connect/protocol';
import { Failure } from '../domain/failure.ts';
import { Health } from '../gen/grpc/health/v1/health_pb.js';
import { CallLog } from '../telemetry/call-log.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { VerifyLog } from '../telemetry/verify-log.ts';
import { type Answer, isError, plainError, wholeAnswer, writeAnswer, writeStream } from './answer.ts';
import { assertUtf8, explainBody } from './bad-body.ts';
import { readMessage } from './body.ts';
import { callKey } from './call.ts';
import { orAborted } from './deadline.ts';
import { Exchange } from './exchange.ts';
import { HealthBoard } from './health.ts';
import { type Authenticate, admit } from './intake.ts';
import { callInterceptor, exchangeKey, refusalKey } from './interceptor.ts';
import { type NodeRequest, type NodeResponse, pathOf } from './node-http.ts';
import { type MethodPolicy, policyOf } from './policy.ts';
import { ACCEPTED_CONTENT_TYPES, carries, type Protocol, protocolOf } from './protocol.ts';
import { serveReflection } from './reflection.ts';
import {
  methodNotAllowed,
  needsHttp2,
  nothingHere,
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
  readonly limits?: Limits;
}

interface Route {
  readonly handler: UniversalHandler;
  readonly policy: MethodPolicy;
}

const UNKNOWN = { name: 'unknown', service: 'unknown', method: 'unknown', judgesTokens: false } as const;
const RPC_PATH = /^\/[A-Za-z_][\w.]*\/[A-Za-z_]\w*$/;

/** Builds the pipeline and compiles the validation rules of every method. */
export function createPipeline(options: PipelineOptions): Pipeline {
  return new Pipeline(options);
}

export class Pipeline {
  /** What grpc.health.v1 answers. */
  readonly health: HealthBoard;
  readonly #options: PipelineOptions;
  readonly #running: Running;
  readonly #callLog: CallLog;
  readonly #routes = new Map<string, Route>();
  /** Speaks every protocol for calls that have no handler. */
  readonly #anyRoute: Route;
  /** Calls under way, and whether each is a stream. */
  readonly #open = new Map<Exchange, boolean>();
  #draining = false;

  constructor(options: PipelineOptions) {
    this.#options = options;
    this.#running = new Running(options.limits ?? DEFAULT_LIMITS);
    this.#callLog = new CallLog(options.log, options.verifyLog);
    this.health = new HealthBoard();
    const interceptor = callInterceptor({ running: this.#running, late: this.#late });
    const { handlers, services } = buildRoutes((router) => {
      options.routes(router);
      router.service(Health, this.health.service());
      serveReflection(router);
    }, interceptor);
    this.health.register(services.map(({ typeName }) => typeName));
    for (const handler of handlers) {
      this.#routes.set(handler.requestPath, {
        handler,
        policy: policyOf(handler.method, options.verifyAccess),
      });
    }
    const anyRoute = this.#routes.get(`/${Health.typeName}/${Health.method.check.name}`);
    if (anyRoute === undefined) throw new Error('the health service is missing');
    this.#anyRoute = anyRoute;
    warmValidator(handlers.map(({ method }) => method.input));
  }

  /** Serves one request of either server. Never throws. */
  handle(request: NodeRequest, response: NodeResponse): void {
    void this.#running.track(this.#serve(request, response));
  }

  /** From now on HTTP/1.1 clients are asked to go elsewhere, and health says NOT_SERVING. */
  beginDrain(): void {
    this.#draining = true;
    this.health.stop();
  }

  /** Ends the streams that are still open, so that a stop need not wait for clients that would watch for ever. */
  endStreams(): void {
    for (const [exchange, streaming] of this.#open) if (streaming) exchange.abort(stopping());
  }

  /** Answers all that is under way with UNAVAILABLE. */
  endAll(): void {
    for (const exchange of this.#open.keys()) exchange.abort(stopping());
  }

  /** Resolves once no call is under way, nor any handler of one. */
  idle(): Promise<void> {
    return this.#running.idle();
  }

  async #serve(request: NodeRequest, response: NodeResponse): Promise<void> {
    const route = this.#routes.get(pathOf(request));
    const exchange = new Exchange(request, response);
    this.#open.set(exchange, route?.policy.streaming ?? false);
    this.#options.metrics.callStarted();
    try {
      await this.#answer(route, exchange);
      exchange.answered();
    } catch (error) {
      // A defect of the pipeline itself, or a stream that broke while it was being written.
      exchange.fail(exchange.signal.aborted ? exchange.signal.reason : error);
      response.destroy();
    } finally {
      this.#open.delete(exchange);
      this.#end(route?.policy ?? UNKNOWN, exchange);
    }
  }

  #end(policy: Pick<MethodPolicy, 'name' | 'service' | 'method' | 'judgesTokens'>, exchange: Exchange): void {
    const { metrics } = this.#options;
    const record = exchange.end(policy);
    this.#callLog.write(record);
    for (const { keyspace, status } of record.verdicts) metrics.tokenJudged(keyspace, status);
    const { service, method } = policy;
    metrics.callEnded({ service, method, code: record.code, seconds: record.durationMs / 1000 });
  }

  async #answer(route: Route | undefined, exchange: Exchange): Promise<void> {
    const protocol = protocolOf(onlyValue(exchange.headers, 'content-type'));
    if (route === undefined) return this.#answerUnknown(exchange, protocol);
    const { policy, handler } = route;
    if (exchange.request.method !== 'POST')
      return this.#refusePlain(exchange, 405, methodNotAllowed(), { allow: 'POST' });
    if (protocol === undefined || !carries(protocol, policy.streaming)) {
      return this.#refusePlain(exchange, 415, unsupportedType(policy), {
        'accept-post': ACCEPTED_CONTENT_TYPES,
      });
    }
    if (handler.method.methodKind === 'bidi_streaming' && exchange.request.httpVersionMajor < 2) {
      return this.#refusePlain(exchange, 505, needsHttp2());
    }
    return policy.streaming
      ? this.#stream(route, exchange, protocol)
      : this.#unary(route, exchange, protocol);
  }

  async #answerUnknown(exchange: Exchange, protocol: Protocol | undefined): Promise<void> {
    const rpc = RPC_PATH.test(pathOf(exchange.request));
    const failure = rpc ? unknownMethod() : nothingHere();
    if (protocol === undefined || protocol.name === 'connect')
      return this.#refusePlain(exchange, 404, failure);
    return this.#write(exchange, await this.#refusal(this.#anyRoute, exchange, protocol, failure));
  }

  #refusePlain(
    exchange: Exchange,
    status: number,
    failure: Failure,
    headers?: Record<string, string>,
  ): Promise<void> {
    return this.#write(exchange, plainError(status, exchange.fail(failure).error, headers));
  }

  async #unary(route: Route, exchange: Exchange, protocol: Protocol): Promise<void> {
    const parts = { ...this.#options, running: this.#running, late: this.#late };
    let release = () => {};
    try {
      const admission = await admit(parts, exchange, route.policy, protocol);
      release = admission.release;
      const { maxBytes } = route.policy;
      const reading = readMessage(exchange.request, protocol, maxBytes, admission.encoding);
      const message = await orAborted(reading, exchange.signal, (error) => this.#late(exchange, error));
      await this.#write(exchange, await this.#call(route, exchange, protocol, message));
    } catch (error) {
      await this.#write(exchange, await this.#refusal(route, exchange, protocol, error));
    } finally {
      release();
    }
  }

  /** Decodes the message and calls the handler, through Connect's router. */
  async #call(route: Route, exchange: Exchange, protocol: Protocol, message: Uint8Array): Promise<Answer> {
    const { handler } = route;
    if (protocol.json) assertUtf8(message);
    const values = createContextValues().set(exchangeKey, exchange).set(callKey, exchange.call());
    const answer = await wholeAnswer(await handler(universalRequest(exchange, protocol, message, values)));
    if (!exchange.reached) throw explainBody(handler.method.input, message, protocol.json);
    // An error that the interceptor does not know of: the handler's answer does not fit the schema.
    if (exchange.outcome === undefined && isError(protocol, answer))
      throw new Error('the answer cannot be encoded');
    return answer;
  }

  async #stream(route: Route, exchange: Exchange, protocol: Protocol): Promise<void> {
    const parts = { ...this.#options, running: this.#running, late: this.#late };
    let release = () => {};
    try {
      release = (await admit(parts, exchange, route.policy, protocol)).release;
      const values = createContextValues().set(exchangeKey, exchange).set(callKey, exchange.call());
      await this.#writeStream(
        exchange,
        await route.handler(universalRequest(exchange, protocol, undefined, values)),
      );
    } catch (error) {
      if (exchange.response.headersSent) throw error;
      await this.#write(exchange, await this.#refusal(route, exchange, protocol, error));
    } finally {
      release();
    }
  }

  /** The answer to a call that its handler is not to see, in the protocol that the client speaks. */
  async #refusal(route: Route, exchange: Exchange, protocol: Protocol, thrown: unknown): Promise<Answer> {
    const { error } = exchange.fail(thrown);
    const values = createContextValues().set(refusalKey, error);
    return wholeAnswer(await route.handler(universalRequest(exchange, protocol, new Uint8Array(), values)));
  }

  #write(exchange: Exchange, answer: Answer): Promise<void> {
    return writeAnswer(this.#outlet(exchange), answer);
  }

  #writeStream(exchange: Exchange, answer: UniversalServerResponse): Promise<void> {
    return writeStream(this.#outlet(exchange), answer);
  }

  #outlet({ request, response, requestId }: Exchange) {
    return { request, response, requestId, closing: this.#draining };
  }

  // The client was told something else by then, so the log is all that is left. Refusals are no news.
  readonly #late = ({ requestId }: Exchange, error: unknown): void => {
    if (error instanceof Failure || error instanceof ConnectError) return;
    this.#options.log.warn({ request_id: requestId, err: error }, 'failed after the call had ended');
  };
}
