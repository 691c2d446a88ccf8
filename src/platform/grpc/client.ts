import { create, toBinary } from "@bufbuild/protobuf";
import type { Client, Metadata, ServiceError } from "@grpc/grpc-js";
import {
  BridgeService,
  type Content,
  DownloadRequestSchema,
  DownloadResponseSchema,
  ExchangeRequestSchema,
  ExchangeResponseSchema,
  GetUploadRequestSchema,
  GetUploadResponseSchema,
  PublishRequestSchema,
  PublishResponseSchema,
  UploadRequestSchema,
} from "../../wire/agent_mesh/bridge/v1/bridge_pb.ts";
import {
  type BridgeClient,
  type BridgeClientCounters,
  type BridgeContent,
  BridgeError,
  type BridgeLinkChannel,
  type BridgeLinkReceiver,
  type BridgeMessage,
  type BridgeRequest,
} from "../bridge.ts";
import type { BulkSink, BulkSource } from "../network.ts";
import { checkedContent, checkedOffset, decode } from "./checked.ts";
import { attach } from "./client-link.ts";
import { pathOf } from "./definitions.ts";
import { dial, type GrpcClientOptions } from "./dial.ts";
import { CHUNK_BYTES, CHUNK_BYTES_MAX } from "./limits.ts";
import { bufferOf } from "./packing.ts";
import { errorFrom } from "./status.ts";
import { takeContent } from "./take-content.ts";

const same = (bytes: Buffer): Buffer => bytes;

/** A way to another bridge's door over gRPC. Connects when it is used, and anew once a connection has failed. */
export class GrpcBridgeClient implements BridgeClient {
  readonly #options: GrpcClientOptions;
  readonly #counters = { calls: 0, callsFailed: 0, sentBytes: 0, receivedBytes: 0 };
  readonly #running = new Set<{ cancel(): void }>();
  #connection: { readonly client: Client; readonly metadata: Metadata } | undefined;
  #stopped = false;

  constructor(options: GrpcClientOptions) {
    this.#options = options;
  }

  link(receiver: BridgeLinkReceiver): BridgeLinkChannel {
    const { client, metadata } = this.#connect();
    const path = pathOf(BridgeService.method.link);
    const call = client.makeBidiStreamRequest(path, same, same, metadata);
    return attach(this.#track(call), receiver, {
      onReceived: (bytes) => this.#received(bytes),
      onSent: (bytes) => this.#sent(bytes),
      onFailed: (error) => this.#failed(error),
    });
  }

  async exchange(request: BridgeRequest): Promise<Uint8Array> {
    const { payload, timeoutMs } = request;
    if (payload.length > this.#options.messageBytesMax)
      throw new BridgeError("bridge.too-large", `${payload.length} bytes in a request`);
    const { id, target, task, via } = request;
    const message = create(ExchangeRequestSchema, { id, target, task, payload, via: [...via] });
    const answer = await this.#unary(
      pathOf(BridgeService.method.exchange),
      toBinary(ExchangeRequestSchema, message),
      timeoutMs,
    );
    return decode(ExchangeResponseSchema, answer).payload;
  }

  async publish({ id, topic, payload }: BridgeMessage): Promise<number> {
    const message = create(PublishRequestSchema, { id, topic, payload });
    const answer = await this.#unary(
      pathOf(BridgeService.method.publish),
      toBinary(PublishRequestSchema, message),
    );
    return decode(PublishResponseSchema, answer).receivers;
  }

  async upload(
    target: string,
    source: BulkSource,
    onProgress?: (bytes: number) => void,
  ): Promise<void> {
    const content = contentMessage(source);
    const question = create(GetUploadRequestSchema, { target, content });
    const answer = await this.#unary(
      pathOf(BridgeService.method.getUpload),
      toBinary(GetUploadRequestSchema, question),
    );
    let offset = checkedOffset(decode(GetUploadResponseSchema, answer).offset, source.sizeBytes);
    onProgress?.(offset);
    const { client, metadata } = this.#connect();
    const { promise: settled, resolve, reject } = Promise.withResolvers<void>();
    const path = pathOf(BridgeService.method.upload);
    const call = client.makeClientStreamRequest(path, same, same, metadata, (error) => {
      if (error === null) resolve();
      else reject(this.#failed(error));
    });
    this.#track(call);
    settled.catch(() => undefined);
    const send = (bytes: Uint8Array): Promise<void> => {
      this.#sent(bytes.length);
      // A call that has ended takes nothing any more, and says so to nobody.
      const taken = new Promise<void>((done) => call.write(bufferOf(bytes), () => done()));
      return Promise.race([taken, settled]);
    };
    try {
      const offer = { target, content, offset: BigInt(offset) };
      const first = create(UploadRequestSchema, {
        part: {
          case: "offer",
          value: { $typeName: "agent_mesh.bridge.v1.UploadOffer", ...offer },
        },
      });
      await send(toBinary(UploadRequestSchema, first));
      while (offset < source.sizeBytes) {
        const value = await source.read(offset, Math.min(CHUNK_BYTES, source.sizeBytes - offset));
        if (value.length === 0)
          throw new BridgeError("bridge.failed", "the content came to an end");
        const part = create(UploadRequestSchema, { part: { case: "chunk", value } });
        await send(toBinary(UploadRequestSchema, part));
        offset += value.length;
        onProgress?.(offset);
      }
      call.end();
    } catch (error) {
      call.cancel();
      throw error;
    }
    await settled;
  }

  async download(
    target: string,
    name: string,
    resume: { readonly offset: number; readonly sha256: Uint8Array } | undefined,
    accept: (content: BridgeContent) => BulkSink | Promise<BulkSink>,
  ): Promise<void> {
    const offset = resume?.offset ?? 0;
    const request = create(DownloadRequestSchema, {
      target,
      name,
      offset: BigInt(offset),
      sha256: resume?.sha256 ?? new Uint8Array(),
    });
    const { client, metadata } = this.#connect();
    const bytes = bufferOf(toBinary(DownloadRequestSchema, request));
    const path = pathOf(BridgeService.method.download);
    const call = this.#track(client.makeServerStreamRequest(path, same, same, bytes, metadata));
    const messages = call[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    const next = async () => {
      const { value, done } = await messages.next().catch((error: unknown) => {
        throw isServiceError(error) ? this.#failed(error) : error;
      });
      if (done === true) return undefined;
      this.#received(value.length);
      return decode(DownloadResponseSchema, value).part;
    };
    try {
      const first = await next();
      if (first?.case !== "content")
        throw new BridgeError("bridge.malformed", "a download begins with what it is");
      const content = checkedContent(first.value);
      const sink = await accept(content);
      await takeContent(content, sink, offset, async () => {
        const part = await next();
        if (part === undefined) return undefined;
        if (part.case !== "chunk" || part.value.length > CHUNK_BYTES_MAX)
          throw new BridgeError("bridge.malformed", "after what it is come chunks");
        return part.value;
      });
    } finally {
      call.cancel();
    }
  }

  counters(): BridgeClientCounters {
    return { ...this.#counters };
  }

  stop(): void {
    this.#stopped = true;
    for (const call of this.#running) call.cancel();
    this.#disconnect();
  }

  #unary(path: string, message: Uint8Array, timeoutMs = this.#options.timeoutMs): Promise<Buffer> {
    const { client, metadata } = this.#connect();
    const options = { deadline: Date.now() + timeoutMs };
    this.#sent(message.length);
    return new Promise((resolve, reject) => {
      const bytes = bufferOf(message);
      const call = client.makeUnaryRequest(
        path,
        same,
        same,
        bytes,
        metadata,
        options,
        (error, answer) => {
          if (error !== null) reject(this.#failed(error));
          else if (answer === undefined) reject(new BridgeError("bridge.closed", "no answer came"));
          else {
            this.#received(answer.length);
            resolve(answer);
          }
        },
      );
      this.#track(call);
    });
  }

  #connect(): { readonly client: Client; readonly metadata: Metadata } {
    if (this.#stopped) throw new BridgeError("bridge.closed", "this end was stopped");
    this.#connection ??= dial(this.#options);
    return this.#connection;
  }

  /** The next call dials at once: pauses between attempts are the caller's business, not the library's. */
  #disconnect(): void {
    this.#connection?.client.close();
    this.#connection = undefined;
  }

  #track<T extends { cancel(): void; on(event: "status", heard: () => void): unknown }>(
    call: T,
  ): T {
    this.#counters.calls++;
    this.#running.add(call);
    call.on("status", () => this.#running.delete(call));
    return call;
  }

  #failed(error: ServiceError): BridgeError {
    this.#counters.callsFailed++;
    const known = errorFrom(error);
    if (["bridge.unreachable", "bridge.closed", "bridge.unauthenticated"].includes(known.code))
      this.#disconnect();
    return known;
  }

  #sent(bytes: number): void {
    this.#counters.sentBytes += bytes;
  }

  #received(bytes: number): void {
    this.#counters.receivedBytes += bytes;
  }
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "code" in error && "details" in error;
}

function contentMessage({ name, sizeBytes, sha256 }: BulkSource): Content {
  return {
    $typeName: "agent_mesh.bridge.v1.Content",
    name,
    size: BigInt(sizeBytes),
    sha256: Uint8Array.from(sha256),
  };
}
