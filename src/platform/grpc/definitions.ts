import type { DescMethod, DescService } from "@bufbuild/protobuf";
import type { MethodDefinition, ServiceDefinition } from "@grpc/grpc-js";

/** Messages cross grpc-js as bytes: what they mean is checked, counted and compressed on this side of it. */
export type RawMethod = MethodDefinition<Buffer, Buffer>;

const same = (bytes: Buffer): Buffer => bytes;

/** @returns how grpc-js is to call or serve a method */
export function rawMethod(
  path: string,
  streams: { readonly request: boolean; readonly response: boolean },
): RawMethod {
  return {
    path,
    requestStream: streams.request,
    responseStream: streams.response,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  };
}

/** @returns the HTTP/2 path of a method */
export function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

/** @returns the methods of a service by the names under which handlers are added */
export function rawService(service: DescService): ServiceDefinition {
  return Object.fromEntries(
    service.methods.map((method) => [
      method.localName,
      rawMethod(pathOf(method), {
        request: method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming",
        response:
          method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming",
      }),
    ]),
  );
}
