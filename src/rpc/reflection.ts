/** Server reflection (v1 and v1alpha), so that grpcurl and the like can list and describe everything. */

import { type DescFile, type DescService, toBinary } from '@bufbuild/protobuf';
import { nestedTypes } from '@bufbuild/protobuf/reflect';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { Code, type ConnectRouter } from '@connectrpc/connect';
import { file_google_rpc_error_details } from '../gen/google/rpc/error_details_pb.js';
import { ServerReflection, type ServerReflectionRequest } from '../gen/grpc/reflection/v1/reflection_pb.js';
import { ServerReflection as ServerReflectionAlpha } from '../gen/grpc/reflection/v1alpha/reflection_pb.js';

type Question = ServerReflectionRequest['messageRequest'];

/** Adds both services; they describe every service of the router, themselves included. */
export function serveReflection(router: ConnectRouter): void {
  let index: SchemaIndex | undefined;
  const answer = (question: Question) => {
    index ??= new SchemaIndex(servicesOf(router));
    return index.answer(question);
  };
  router.service(ServerReflection, {
    async *serverReflectionInfo(requests) {
      for await (const request of requests) {
        yield {
          validHost: request.host,
          originalRequest: request,
          messageResponse: answer(request.messageRequest),
        };
      }
    },
  });
  // The same messages under an older name, which many clients still try first or fall back to.
  router.service(ServerReflectionAlpha, {
    async *serverReflectionInfo(requests) {
      for await (const request of requests) {
        const question = request.messageRequest as Question;
        yield { validHost: request.host, originalRequest: request, messageResponse: answer(question) };
      }
    },
  });
}

function servicesOf(router: ConnectRouter): DescService[] {
  return [...new Set(router.handlers.map(({ service }) => service))];
}

/** Files by name, by what they declare, and by what they extend. */
class SchemaIndex {
  readonly #services: readonly DescService[];
  readonly #files = new Map<string, DescFile>();
  readonly #symbols = new Map<string, DescFile>();
  /** Extended type -> number -> the file that extends it. */
  readonly #extensions = new Map<string, Map<number, DescFile>>();

  constructor(services: readonly DescService[]) {
    this.#services = services;
    for (const { file } of services) this.#addFile(file);
    // No service imports it, but errors carry its messages.
    this.#addFile(file_google_rpc_error_details);
  }

  #addFile(file: DescFile): void {
    if (this.#files.has(file.proto.name)) return;
    this.#files.set(file.proto.name, file);
    for (const type of nestedTypes(file)) {
      this.#symbols.set(type.typeName, file);
      if (type.kind === 'extension') this.#addExtension(type.extendee.typeName, type.number, file);
      if (type.kind === 'message') this.#addMembers(type.typeName, type.members, file);
      if (type.kind === 'service') this.#addMembers(type.typeName, type.methods, file);
    }
    for (const dependency of file.dependencies) this.#addFile(dependency);
  }

  #addMembers(parent: string, members: readonly { readonly name: string }[], file: DescFile): void {
    for (const { name } of members) this.#symbols.set(`${parent}.${name}`, file);
  }

  #addExtension(extendee: string, number: number, file: DescFile): void {
    const numbers = this.#extensions.get(extendee) ?? new Map<number, DescFile>();
    this.#extensions.set(extendee, numbers.set(number, file));
  }

  answer(question: Question) {
    switch (question.case) {
      case 'listServices':
        return {
          case: 'listServicesResponse' as const,
          value: { service: this.#services.map(({ typeName }) => ({ name: typeName })).toSorted(byName) },
        };
      case 'fileByFilename':
        return this.#withDependencies(this.#files.get(question.value));
      case 'fileContainingSymbol':
        return this.#withDependencies(this.#symbols.get(question.value.replace(/^\./, '')));
      case 'fileContainingExtension': {
        const { containingType, extensionNumber } = question.value;
        return this.#withDependencies(this.#extensions.get(containingType)?.get(extensionNumber));
      }
      case 'allExtensionNumbersOfType':
        return this.#extensionNumbers(question.value);
      default:
        return failure(Code.InvalidArgument, 'the request asks for nothing');
    }
  }

  #extensionNumbers(baseTypeName: string) {
    if (!this.#symbols.has(baseTypeName)) return failure(Code.NotFound, 'no such type is known here');
    const extensionNumber = [...(this.#extensions.get(baseTypeName)?.keys() ?? [])];
    return { case: 'allExtensionNumbersResponse' as const, value: { baseTypeName, extensionNumber } };
  }

  /** The file first, then all that it needs. */
  #withDependencies(file: DescFile | undefined) {
    if (file === undefined) return failure(Code.NotFound, 'no such file, symbol or extension is known here');
    const found = new Set<DescFile>();
    const add = (one: DescFile) => {
      if (found.has(one)) return;
      found.add(one);
      one.dependencies.forEach(add);
    };
    add(file);
    const fileDescriptorProto = [...found].map(({ proto }) => toBinary(FileDescriptorProtoSchema, proto));
    return { case: 'fileDescriptorResponse' as const, value: { fileDescriptorProto } };
  }
}

function failure(errorCode: Code, errorMessage: string) {
  return { case: 'errorResponse' as const, value: { errorCode, errorMessage } };
}

function byName(one: { readonly name: string }, other: { readonly name: string }): number {
  return one.name < other.name ? -1 : 1;
}
