/** grpc.health.v1: whether the service as a whole, and each of its services, takes calls. */

import type { HandlerContext, ServiceImpl } from '@connectrpc/connect';
import { notFound } from '../domain/failure.ts';
import {
  type Health,
  type HealthCheckRequest,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from '../gen/grpc/health/v1/health_pb.js';

/** All services are up or down together: they live in one process over one store. */
export class HealthBoard {
  readonly #names = new Set(['']);
  readonly #watchers = new Set<() => void>();
  #serving = true;
  #stopped = false;

  /** Adds names that may be asked for, beside "" for the whole. */
  register(names: readonly string[]): void {
    for (const name of names) this.#names.add(name);
  }

  /** Says whether calls can be served now. Without effect once stopped. */
  setServing(serving: boolean): void {
    if (this.#stopped || serving === this.#serving) return;
    this.#serving = serving;
    this.#tell();
  }

  /** NOT_SERVING for good; watchers are told, and their streams end. */
  stop(): void {
    this.#stopped = true;
    this.#serving = false;
    this.#tell();
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
    let told: ServingStatus | undefined;
    while (!signal.aborted) {
      const status = this.#names.has(service) ? this.#status() : ServingStatus.SERVICE_UNKNOWN;
      if (status !== told) yield { status };
      told = status;
      if (this.#stopped) return;
      await this.#change(signal);
    }
  }

  #change(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#watchers.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.#watchers.add(done);
      signal.addEventListener('abort', done);
    });
  }

  #status(): ServingStatus {
    return this.#serving ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
  }

  #tell(): void {
    for (const wake of [...this.#watchers]) wake();
  }
}
