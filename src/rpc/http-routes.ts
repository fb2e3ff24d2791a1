/** What the HTTP port has beside the services: /healthz, /readyz, /metrics. */

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Log } from '../telemetry/log.ts';
import type { MetricsPage } from '../telemetry/reports.ts';
import { pathOf } from './node-http.ts';

/** Names what is not ready, such as `store`; empty: all is. */
export type CheckReady = () => Promise<readonly string[]>;

const READY_TIMEOUT_MS = 1000;

interface Reply {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

export class HttpRoutes {
  readonly #checkReady: CheckReady;
  readonly #metrics: MetricsPage;
  readonly #log: Log;
  readonly #routes: Readonly<Record<string, () => Promise<Reply>>>;
  #checking: Promise<readonly string[]> | undefined;
  #draining = false;

  constructor(parts: { readonly checkReady: CheckReady; readonly metrics: MetricsPage; readonly log: Log }) {
    this.#checkReady = parts.checkReady;
    this.#metrics = parts.metrics;
    this.#log = parts.log;
    this.#routes = {
      '/healthz': async () => json(200, { status: 'alive' }),
      '/readyz': () => this.#ready(),
      '/metrics': async () => ({
        status: 200,
        type: this.#metrics.contentType,
        body: await this.#metrics.text(),
      }),
    };
  }

  /** From now on /readyz says 503. */
  beginDrain(): void {
    this.#draining = true;
  }

  /** @returns false where the path is none of these. */
  handle(request: IncomingMessage, response: ServerResponse): boolean {
    const path = pathOf(request);
    const route = Object.hasOwn(this.#routes, path) ? this.#routes[path] : undefined;
    if (route === undefined) return false;
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD');
      reply(response, json(405, { status: 'use GET' }));
      return true;
    }
    route().then(
      (answer) => reply(response, answer),
      (error: unknown) => {
        this.#log.error({ err: error }, 'a page of the HTTP port failed');
        reply(response, json(500, { status: 'failed' }));
      },
    );
    return true;
  }

  async #ready(): Promise<Reply> {
    if (this.#draining) return json(503, { status: 'stopping', failing: ['stopping'] });
    // Shared, so that many probes are no load.
    this.#checking ??= this.#check().finally(() => {
      this.#checking = undefined;
    });
    const failing = await this.#checking;
    return failing.length === 0
      ? json(200, { status: 'ready' })
      : json(503, { status: 'not ready', failing });
  }

  async #check(): Promise<readonly string[]> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<readonly string[]>((resolve) => {
      timer = setTimeout(() => resolve(['timeout']), READY_TIMEOUT_MS);
    });
    try {
      return await Promise.race([this.#checkReady(), late]);
    } catch (error) {
      this.#log.warn({ err: error }, 'the readiness check failed');
      return ['check'];
    } finally {
      clearTimeout(timer);
    }
  }
}

function json(status: number, body: object): Reply {
  return { status, type: 'application/json', body: `${JSON.stringify(body)}\n` };
}

function reply(response: ServerResponse, { status, type, body }: Reply): void {
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' });
  response.end(body);
}
