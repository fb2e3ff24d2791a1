/** The real service while peers misbehave: what it has of memory and handles, and how a well-behaved client fares meanwhile. */

import http2, { type ClientHttp2Session } from 'node:http2';
import { setTimeout as after } from 'node:timers/promises';
import { create, toBinary } from '@bufbuild/protobuf';
import { VerifyRequestSchema } from '../../src/gen/gatehouse/v1/auth_service_pb.js';
import { callJson, type Gatehouse, startGatehouse } from './gatehouse.ts';

export const VERIFY = '/gatehouse.v1.AuthService/Verify';
const GC = new URL('gc-on-signal.ts', import.meta.url);
const MIB = 1024 * 1024;
const OK = '0';
/** The service's first answers cost more than all that follow. */
const WARM_UP = 300;
const PAUSE_MS = 5;
const SAMPLE_MS = 100;

export interface Vitals {
  /** MiB. */
  readonly rss: number;
  readonly heap: number;
  readonly external: number;
  readonly descriptors: number;
  readonly handles: number;
  readonly inFlight: number;
}

/** How the well-behaved client fared, in milliseconds, and the service's memory. */
export interface Siege {
  readonly calls: number;
  readonly median: number;
  readonly slowest: number;
  /** What was not answered as it must be. */
  readonly wrong: readonly string[];
  /** MiB of resident memory above that before. */
  readonly peakGrowth: number;
  /** MiB of live heap and buffers above those before. */
  readonly heapGrowth: number;
}

export class Besieged {
  readonly gatehouse: Gatehouse;
  /** Of a key that is valid. */
  readonly token: string;
  readonly #message: Buffer;
  #session: ClientHttp2Session;

  constructor(gatehouse: Gatehouse, token: string) {
    this.gatehouse = gatehouse;
    this.token = token;
    const request = create(VerifyRequestSchema, { token });
    this.#message = enveloped(toBinary(VerifyRequestSchema, request));
    this.#session = this.#connect();
  }

  static async start(env: Readonly<Record<string, string>> = {}): Promise<Besieged> {
    const gatehouse = await startGatehouse({
      env: { NODE_OPTIONS: `--expose-gc --import=${GC.href}`, GATEHOUSE_LOG_LEVEL: 'error', ...env },
    });
    const key = { keyspace: 'default', name: 'good' };
    const { body } = await callJson(gatehouse, 'KeyService/CreateKey', key, { key: gatehouse.rootKey });
    const besieged = new Besieged(gatehouse, body.secret);
    for (let count = 0; count < WARM_UP; count++) await besieged.verify();
    return besieged;
  }

  /** A good Verify in its envelope. */
  get message(): Buffer {
    return this.#message;
  }

  #connect(): ClientHttp2Session {
    return http2.connect(`http://${this.gatehouse.grpc}`).on('error', () => {});
  }

  /** One good Verify. @returns what is wrong with the answer; undefined where nothing is. */
  verify(): Promise<string | undefined> {
    if (this.#session.destroyed || this.#session.closed) this.#session = this.#connect();
    return new Promise((resolve) => {
      const call = this.#session.request({
        ':method': 'POST',
        ':path': VERIFY,
        'content-type': 'application/grpc',
        te: 'trailers',
        authorization: `Bearer ${this.gatehouse.rootKey}`,
      });
      let [status, bytes, error]: [unknown, Buffer, Error | undefined] = [
        undefined,
        Buffer.alloc(0),
        undefined,
      ];
      call.on('trailers', (trailers) => {
        status = trailers['grpc-status'];
      });
      call.on('data', (chunk: Buffer) => {
        bytes = Buffer.concat([bytes, chunk]);
      });
      call.on('error', (cause) => {
        error = cause;
      });
      call.on('close', () => {
        // VerifyResponse begins with `valid`.
        if (status === OK && bytes[5] === 0x08 && bytes[6] === 1) return resolve(undefined);
        resolve(`status ${status} ${error?.message ?? ''} ${bytes.toString('hex')}`);
      });
      call.end(this.#message);
    });
  }

  async vitals(): Promise<Vitals> {
    const text = await (await fetch(`${this.gatehouse.http}/metrics`)).text();
    const value = (name: string) => Number(new RegExp(`^${name} (.*)$`, 'm').exec(text)?.[1]);
    return {
      rss: value('process_resident_memory_bytes') / MIB,
      heap: value('nodejs_heap_size_used_bytes') / MIB,
      external: value('nodejs_external_memory_bytes') / MIB,
      descriptors: value('process_open_fds'),
      handles: value('nodejs_active_handles_total'),
      inFlight: value('gatehouse_rpc_in_flight'),
    };
  }

  /** After a collection of garbage. */
  async settled(): Promise<Vitals> {
    for (let count = 0; count < 2; count++) {
      process.kill(this.gatehouse.pid ?? 0, 'SIGUSR2');
      await after(SAMPLE_MS);
    }
    return this.vitals();
  }

  /** Waits until connections and calls are those of `before`. @returns what is there when that is so, or no longer waited for. */
  async back(before: Vitals, patienceMs: number): Promise<Vitals> {
    const until = performance.now() + patienceMs;
    for (;;) {
      const now = await this.settled();
      const isBack = now.descriptors <= before.descriptors + 2 && now.inFlight <= before.inFlight;
      if (isBack || performance.now() > until) return now;
      await after(SAMPLE_MS);
    }
  }

  /** Calls Verify all the time while something is going on. */
  async during(attack: () => Promise<unknown>): Promise<Siege> {
    const before = await this.settled();
    const times: number[] = [];
    const wrong = new Set<string>();
    let peak = before.rss;
    let under = true;
    const client = (async () => {
      for (; under; await after(PAUSE_MS)) {
        const begun = performance.now();
        const fault = await this.verify();
        if (fault !== undefined) wrong.add(fault);
        times.push(performance.now() - begun);
      }
    })();
    const sampler = (async () => {
      for (; under; await after(SAMPLE_MS)) peak = Math.max(peak, (await this.vitals()).rss);
    })();
    try {
      await attack();
    } finally {
      under = false;
      await Promise.all([client, sampler]);
    }
    const now = await this.settled();
    times.sort((one, other) => one - other);
    return {
      calls: times.length,
      median: times[times.length >> 1] ?? 0,
      slowest: times.at(-1) ?? 0,
      wrong: [...wrong],
      peakGrowth: Math.max(peak, now.rss) - before.rss,
      heapGrowth: now.heap + now.external - before.heap - before.external,
    };
  }

  async remove(): Promise<void> {
    this.#session.destroy();
    await this.gatehouse.remove();
  }
}

export function enveloped(message: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}
