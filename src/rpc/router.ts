/** Connect's router as the pipeline uses it. */

import { createRegistry, type DescMethod, type DescService, type Registry } from '@bufbuild/protobuf';
import {
  type ConnectRouter,
  createConnectRouter,
  createServiceImplSpec,
  type Interceptor,
  type MethodImpl,
} from '@connectrpc/connect';
import type { UniversalHandler } from '@connectrpc/connect/protocol';
import { file_google_rpc_error_details } from '../gen/google/rpc/error_details_pb.js';
import { COMPRESSION } from './body.ts';
import { refuseFailed } from './interceptor.ts';
import { maxBytesOf } from './policy.ts';

// Details of errors inside answers (VerifyBatch) are of these types, and JSON has to write them out.
const DETAILS: Registry = createRegistry(file_google_rpc_error_details);

export interface Routes {
  readonly handlers: readonly UniversalHandler[];
  readonly services: readonly DescService[];
  /** Methods of those services that have an implementation. */
  readonly offered: ReadonlySet<DescMethod>;
}

/** Builds the handlers of all services that `register` adds. */
export function buildRoutes(register: (router: ConnectRouter) => void, interceptor: Interceptor): Routes {
  const inner = createConnectRouter({
    interceptors: [interceptor],
    requestGate: refuseFailed,
    acceptCompression: [COMPRESSION],
    jsonOptions: { ignoreUnknownFields: false, alwaysEmitImplicit: true, registry: DETAILS },
  });
  const services = new Set<DescService>();
  const offered = new Set<DescMethod>();
  const add = <Method extends DescMethod>(method: Method, impl: MethodImpl<Method>) => {
    services.add(method.parent);
    inner.rpc(method, impl, { readMaxBytes: maxBytesOf(method) });
  };
  const router: ConnectRouter = {
    handlers: inner.handlers,
    rpc(method, impl) {
      add(method, impl);
      offered.add(method);
      return this;
    },
    // One by one, because each method has a limit of its own.
    service(service, implementation) {
      const { methods } = createServiceImplSpec(service, implementation);
      for (const method of service.methods) if (method.localName in implementation) offered.add(method);
      for (const { method, impl } of Object.values(methods)) add(method, impl as MethodImpl<typeof method>);
      return this;
    },
  };
  register(router);
  return { handlers: inner.handlers, services: [...services], offered };
}
