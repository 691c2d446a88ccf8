import { type DescFile, type DescService, toBinary } from "@bufbuild/protobuf";
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { type ServerDuplexStream, status, type UntypedServiceImplementation } from "@grpc/grpc-js";
import { rawMethod } from "./definitions.ts";

/** Fields of `grpc.reflection.v1.ServerReflectionRequest` that are answered. */
const FILE_BY_NAME = 3;
const FILE_BY_SYMBOL = 4;
const LIST_SERVICES = 7;

/** What a request asks for. */
interface Question {
  readonly field: number;
  readonly value: string;
}

/** gRPC Server Reflection, versions 1 and 1alpha, which are the same but for the name: for grpcurl and the like. */
export class Reflection {
  static readonly definition = {
    v1: rawMethod("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", {
      request: true,
      response: true,
    }),
    v1alpha: rawMethod("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", {
      request: true,
      response: true,
    }),
  };

  readonly #services: readonly string[];
  /** By file name and by the full name of everything in it. */
  readonly #files = new Map<string, DescFile>();

  constructor(services: readonly DescService[]) {
    this.#services = services.map(({ typeName }) => typeName);
    for (const { file } of services) this.#add(file);
  }

  readonly implementation: UntypedServiceImplementation = {
    v1: (call: ServerDuplexStream<Buffer, Buffer>) => this.#serve(call),
    v1alpha: (call: ServerDuplexStream<Buffer, Buffer>) => this.#serve(call),
  };

  #add(file: DescFile): void {
    const name = `${file.name}.proto`;
    if (this.#files.has(name)) return;
    this.#files.set(name, file);
    for (const { typeName } of [...file.messages, ...file.enums]) this.#files.set(typeName, file);
    for (const service of file.services) {
      this.#files.set(service.typeName, file);
      for (const method of service.methods)
        this.#files.set(`${service.typeName}.${method.name}`, file);
    }
    for (const dependency of file.dependencies) this.#add(dependency);
  }

  #serve(call: ServerDuplexStream<Buffer, Buffer>): void {
    call.on("data", (request: Buffer) => {
      const question = questionIn(request);
      if (question === undefined) {
        call.emit("error", { code: status.INVALID_ARGUMENT, details: "no reflection request" });
        return;
      }
      // A client that asks and does not read waits for its answers.
      if (!call.write(this.#answer(request, question))) {
        call.pause();
        call.once("drain", () => call.resume());
      }
    });
    call.on("end", () => call.end());
  }

  #answer(request: Buffer, { field, value }: Question): Buffer {
    const writer = new BinaryWriter();
    writer.tag(2, WireType.LengthDelimited).bytes(request);
    const file = this.#files.get(value);
    if (field === LIST_SERVICES) {
      writer.tag(6, WireType.LengthDelimited).fork();
      for (const service of this.#services)
        writer
          .tag(1, WireType.LengthDelimited)
          .fork()
          .tag(1, WireType.LengthDelimited)
          .string(service)
          .join();
      writer.join();
    } else if ((field === FILE_BY_NAME || field === FILE_BY_SYMBOL) && file !== undefined) {
      const descriptor = toBinary(FileDescriptorProtoSchema, file.proto);
      writer.tag(4, WireType.LengthDelimited).fork();
      writer.tag(1, WireType.LengthDelimited).bytes(descriptor).join();
    } else {
      writer.tag(7, WireType.LengthDelimited).fork();
      writer.tag(1, WireType.Varint).int32(status.NOT_FOUND);
      writer.tag(2, WireType.LengthDelimited).string("not known here").join();
    }
    return Buffer.from(writer.finish());
  }
}

/** @returns the last question in the request: they are alternatives */
function questionIn(request: Uint8Array): Question | undefined {
  let question: Question = { field: 0, value: "" };
  try {
    const reader = new BinaryReader(request);
    while (reader.pos < reader.len) {
      const [field, type] = reader.tag();
      if (type !== WireType.LengthDelimited) reader.skip(type, field);
      else if (field === 1) reader.string();
      else question = { field, value: field === 5 ? skipped(reader) : reader.string() };
    }
    return question;
  } catch {
    return undefined;
  }
}

/** An extension is asked for by a message; none is defined here. */
function skipped(reader: BinaryReader): string {
  reader.bytes();
  return "";
}
