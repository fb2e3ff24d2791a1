/** grpc.health.v1: whether the service as a whole, and each of its services, takes calls. */

import type { HandlerContext, ServiceImpl } from '@connectrpc/connect';
import { notFound } from '../domain/failure.ts';
import {
  type Health,
  type HealthCheckRequest,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from '../gen/grpc/health/v1/health_pb.js';

/**
 * All services are up together from the start, and down together from the stop. A store that cannot answer is no
 * reason to be down: keys that are in memory are judged without it, and /readyz tells of it.
 */
export class HealthBoard {
  readonly #names = new Set(['']);
  readonly #stopping = new AbortController();

  /** Adds names that may be asked for, beside "" for the whole. */
  register(names: readonly string[]): void {
    for (const name of names) this.#names.add(name);
  }

  /** NOT_SERVING from now on; watchers are told, and their streams end. */
  stop(): void {
    this.#stopping.abort();
  }

  service(): ServiceImpl<typeof Health> {
    return {
      check: ({ service }) => {
        if (!this.#names.has(service)) throw notFound('the service');
        return { status: this.#status() };
      },
      list: () => {
        const status = this.#status();
        return { statuses: Object.fromEntries([...this.#names].map((name) => [name, { status }])) };
      },
      watch: (request, context) => this.#watch(request, context),
    };
  }

  async *#watch(
    { service }: HealthCheckRequest,
    { signal }: HandlerContext,
  ): AsyncGenerator<{ status: ServingStatus }> {
    const known = this.#names.has(service);
    yield { status: known ? this.#status() : ServingStatus.SERVICE_UNKNOWN };
    if (this.#stopping.signal.aborted) return;
    await aborted(AbortSignal.any([signal, this.#stopping.signal]));
    if (known && !signal.aborted) yield { status: this.#status() };
  }

  #status(): ServingStatus {
    return this.#stopping.signal.aborted ? ServingStatus.NOT_SERVING : ServingStatus.SERVING;
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
