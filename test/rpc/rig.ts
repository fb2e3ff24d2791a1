/** Real listeners over the pipeline, with services whose handlers do as the request tells them. */

import { create } from '@bufbuild/protobuf';
import type { ConnectRouter, HandlerContext } from '@connectrpc/connect';
import type { Caller } from '../../src/domain/caller.ts';
import { denied, Failure, notFound } from '../../src/domain/failure.ts';
import type { Keyspace } from '../../src/domain/keyspace.ts';
import type { StandingKey } from '../../src/domain/standing.ts';
import {
  AuthService,
  VerifyRequestSchema,
  VerifyStatus,
} from '../../src/gen/gatehouse/v1/auth_service_pb.js';
import { KeyService } from '../../src/gen/gatehouse/v1/key_service_pb.js';
import { type Call, callerOf, callOf } from '../../src/rpc/call.ts';
import type { Authenticate } from '../../src/rpc/intake.ts';
import { createPipeline, type Pipeline } from '../../src/rpc/pipeline.ts';
import type { Limits } from '../../src/rpc/running.ts';
import { type Servers, type ServersOptions, startServers } from '../../src/rpc/servers.ts';
import { validateMessage } from '../../src/rpc/validation.ts';
import { createLog, type LogLevel } from '../../src/telemetry/log.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { unrefTimer, VerifyLog, type VerifyLogging } from '../../src/telemetry/verify-log.ts';

export const GOOD_KEY = 'ghm_good-key-0123456789-0123456789-01';
export const ELSEWHERE_KEY = 'ghm_elsewhere-key-0123456789-012345678';
/** Must turn up in no answer and in no log line. */
export const CANARY = 'canary0secret0canary0secret0canary';

export interface RigOptions {
  readonly verifyAccess?: 'key' | 'open';
  readonly limits?: Limits;
  readonly logVerify?: VerifyLogging;
  readonly logLevel?: LogLevel;
  readonly tls?: ServersOptions['tls'];
  readonly maxConnections?: number;
  readonly checkReady?: () => Promise<readonly string[]>;
}

export interface Rig extends Servers {
  readonly pipeline: Pipeline;
  readonly metrics: Metrics;
  /** Parsed lines of the log, oldest first. */
  readonly lines: LogLine[];
  readonly rawLog: () => string;
  /** What the handlers saw, oldest first. */
  readonly calls: Call[];
  /** What the authenticator was asked. */
  readonly asked: {
    readonly token: string;
    readonly strong: boolean;
    readonly counts: boolean;
    readonly clientIp: string | undefined;
  }[];
  /** Lets every handler that waits go on. */
  readonly letGo: () => void;
  /** Resolves once the line of a request is there. */
  line(requestId: string): Promise<LogLine>;
}

export type LogLine = Readonly<Record<string, unknown>>;

export async function startRig(options: RigOptions = {}): Promise<Rig> {
  let raw = '';
  const lines: LogLine[] = [];
  const calls: Call[] = [];
  const asked: Rig['asked'] = [];
  const destination = {
    write: (text: string) => {
      raw += text;
      lines.push(JSON.parse(text));
    },
  };
  const log = createLog({ level: options.logLevel ?? 'info', destination });
  const metrics = new Metrics({ processMetrics: false });
  const mode = options.logVerify ?? 'all';
  const gate = Promise.withResolvers<void>();
  const authenticate: Authenticate = async (token, { clientIp, strong, counts }) => {
    asked.push({ token, clientIp, strong, counts });
    if (token === GOOD_KEY) return someCaller();
    if (token === ELSEWHERE_KEY)
      throw denied('ADDRESS_NOT_ALLOWED', 'the calling key may not be used from this address');
    throw new Failure('unauthenticated', 'CREDENTIALS_INVALID', 'the calling key is not valid');
  };
  const pipeline = createPipeline({
    routes: (router) => fakeServices(router, calls, gate.promise),
    authenticate,
    verifyAccess: options.verifyAccess ?? 'key',
    log,
    verifyLog: new VerifyLog({ log, mode, now: () => performance.now(), later: unrefTimer }),
    metrics,
    ...(options.limits === undefined ? {} : { limits: options.limits }),
  });
  const servers = await startServers({
    pipeline,
    host: '127.0.0.1',
    grpcPort: 0,
    httpPort: 0,
    tls: options.tls,
    ...(options.maxConnections === undefined ? {} : { maxConnections: options.maxConnections }),
    checkReady: options.checkReady ?? (async () => []),
    metrics,
    log,
  });
  const line = async (requestId: string): Promise<LogLine> => {
    for (;;) {
      const found = lines.find((one) => one.request_id === requestId);
      if (found !== undefined) return found;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  return {
    ...servers,
    pipeline,
    metrics,
    lines,
    rawLog: () => raw,
    calls,
    asked,
    letGo: () => gate.resolve(),
    line,
  };
}

export function someCaller(): Caller {
  const key = { id: 'key_caller', keyspace: 'gatehouse', permissions: ['*'] } as unknown as StandingKey;
  return { key, keyspace: { id: 'gatehouse' } as unknown as Keyspace, generation: 'current' };
}

/** What GetKey does for an id. */
const BEHAVIOURS: Readonly<
  Record<string, (context: HandlerContext, gate: Promise<void>) => Promise<void> | void>
> = {
  key_missing: () => {
    throw notFound('the key');
  },
  key_conflict: () => {
    throw new Failure('conflict', 'REVISION_MISMATCH', 'the key has moved on – größer');
  },
  key_outage: () => {
    throw new Failure('unavailable', 'STORE_UNAVAILABLE', 'the store cannot answer now', {
      retryAfterMs: 1500,
      cause: new Error('disk I/O error'),
    });
  },
  key_boom: () => {
    throw new TypeError('the driver says: connection to mongodb://internal refused');
  },
  // As a JSON parser quotes what it could not read.
  key_leak: () => {
    throw new Error(`unexpected token in "${CANARY}"`);
  },
  key_hang: () => new Promise<void>(() => {}),
  key_wait: (_context, gate) => gate,
};

function fakeServices(router: ConnectRouter, calls: Call[], gate: Promise<void>): void {
  router.service(KeyService, {
    async getKey({ id }, context) {
      const call = callOf(context);
      calls.push(call);
      callerOf(call);
      call.notes.keyId = id;
      await BEHAVIOURS[id]?.(context, gate);
      if (id === 'key_unencodable') return { key: { id: 42 as unknown as string } };
      return { key: { id, name: 'n'.repeat(2000) } };
    },
    createKey({ name }, context) {
      calls.push(callOf(context));
      return { key: { id: 'key_new', name } };
    },
  });
  router.service(AuthService, {
    verify({ token }, context) {
      const call = callOf(context);
      calls.push(call);
      const status = token === 'good' ? 'valid' : 'revoked';
      call.notes.verdicts = [{ status, keyspace: 'acme', keyId: 'key_1' }];
      return {
        valid: token === 'good',
        status: token === 'good' ? VerifyStatus.VALID : VerifyStatus.REVOKED,
      };
    },
    verifyBatch({ requests }, context) {
      const results = requests.map((request) => {
        const violations = validateMessage(VerifyRequestSchema, create(VerifyRequestSchema, request));
        return violations.length > 0
          ? { result: { case: 'error' as const, value: { code: 3, message: violations[0]?.field ?? '' } } }
          : { result: { case: 'response' as const, value: { valid: true } } };
      });
      callOf(context).notes.verdicts = requests.map(() => ({ status: 'valid', keyspace: 'acme' }));
      return { results };
    },
    async *watchRevocations({ keyspaces }, context) {
      calls.push(callOf(context));
      yield { resumeToken: 'here' };
      while (keyspaces.includes('flood')) yield { resumeToken: 'x'.repeat(2000) };
    },
  });
}
