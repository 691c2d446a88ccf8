import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import {
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  status,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { rawMethod } from "./definitions.ts";

/** `grpc.health.v1.HealthCheckResponse.ServingStatus`: the values that are used. */
const SERVING = 1;
const NOT_SERVING = 2;
const SERVICE_UNKNOWN = 3;

const WATCHERS_MAX = 64;

/** The GRPC Health Checking Protocol: what probes of Kubernetes and load balancers ask. Needs no credentials. */
export class Health {
  static readonly definition = {
    check: rawMethod("/grpc.health.v1.Health/Check", { request: false, response: false }),
    watch: rawMethod("/grpc.health.v1.Health/Watch", { request: false, response: true }),
  };

  readonly #services: readonly string[];
  readonly #watchers = new Set<() => void>();
  #serving = true;

  /** @param services names of those that are served; the empty name stands for all */
  constructor(services: readonly string[]) {
    this.#services = ["", ...services];
  }

  /** From now on everybody is told that nothing is served any more. */
  leave(): void {
    this.#serving = false;
    for (const tell of this.#watchers) tell();
  }

  readonly implementation: UntypedServiceImplementation = {
    check: (call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) => {
      const said = this.#statusOf(serviceIn(call.request));
      if (said === SERVICE_UNKNOWN) done({ code: status.NOT_FOUND, details: "unknown service" });
      else done(null, response(said));
    },
    watch: (call: ServerWritableStream<Buffer, Buffer>) => {
      if (this.#watchers.size >= WATCHERS_MAX) {
        call.emit("error", { code: status.RESOURCE_EXHAUSTED, details: "too many watchers" });
        return;
      }
      const service = serviceIn(call.request);
      const tell = (): void => {
        call.write(response(this.#statusOf(service)));
      };
      this.#watchers.add(tell);
      call.on("cancelled", () => this.#watchers.delete(tell));
      tell();
    },
  };

  #statusOf(service: string | undefined): number {
    if (service === undefined || !this.#services.includes(service)) return SERVICE_UNKNOWN;
    return this.#serving ? SERVING : NOT_SERVING;
  }
}

/** @returns `HealthCheckRequest.service`, undefined when the bytes are no such message */
function serviceIn(request: Uint8Array): string | undefined {
  let service = "";
  try {
    const reader = new BinaryReader(request);
    while (reader.pos < reader.len) {
      const [field, type] = reader.tag();
      if (field === 1 && type === WireType.LengthDelimited) service = reader.string();
      else reader.skip(type, field);
    }
    return service;
  } catch {
    return undefined;
  }
}

/** @returns a `HealthCheckResponse` */
function response(said: number): Buffer {
  return Buffer.from(new BinaryWriter().tag(1, WireType.Varint).int32(said).finish());
}
