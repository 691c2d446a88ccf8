import { createHash } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import type { ServerReadableStream, sendUnaryData } from "@grpc/grpc-js";
import {
  DownloadRequestSchema,
  type DownloadResponse,
  DownloadResponseSchema,
  UploadRequestSchema,
  UploadResponseSchema,
} from "../../wire/agent_mesh/bridge/v1/bridge_pb.ts";
import { BridgeError } from "../bridge.ts";
import { checkedContent, checkedName, checkedOffset, checkedTarget, decode } from "./checked.ts";
import { CHUNK_BYTES, CHUNK_BYTES_MAX } from "./limits.ts";
import { bufferOf } from "./packing.ts";
import { type Parts, permit, reply } from "./parts.ts";
import { statusFrom } from "./status.ts";
import { outgoingOf, type StreamingCall } from "./stream-calls.ts";
import { takeContent } from "./take-content.ts";

/** Takes content: the first message is the offer, the others are its bytes. */
export function upload(
  parts: Parts,
  call: ServerReadableStream<Buffer, Buffer>,
  done: sendUnaryData<Buffer>,
): void {
  const answered = takeUpload(parts, call).then((size) =>
    bufferOf(toBinary(UploadResponseSchema, create(UploadResponseSchema, { size }))),
  );
  void reply(parts, answered, done);
}

async function takeUpload(
  parts: Parts,
  call: ServerReadableStream<Buffer, Buffer>,
): Promise<bigint> {
  const from = parts.door.principalOf(call.metadata);
  const messages = call[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  const next = async () => {
    const { value, done } = await messages.next();
    if (done === true) return undefined;
    parts.onReceived(value.length);
    return decode(UploadRequestSchema, value).part;
  };
  const first = await next();
  if (first?.case !== "offer")
    throw new BridgeError("bridge.malformed", "an upload begins with its offer");
  const content = checkedContent(first.value.content);
  permit(from, "upload", content.name);
  const offset = checkedOffset(first.value.offset, content.sizeBytes);
  const sink = await parts.handler.upload(checkedTarget(first.value.target), content, from);
  await takeContent(content, sink, offset, async () => {
    const part = await next();
    if (part === undefined) return undefined;
    if (part.case !== "chunk")
      throw new BridgeError("bridge.malformed", "after the offer come chunks");
    if (part.value.length > CHUNK_BYTES_MAX)
      throw new BridgeError("bridge.too-large", `a chunk is over ${CHUNK_BYTES_MAX} bytes`);
    return part.value;
  });
  return BigInt(content.sizeBytes);
}

/** Gives content: the first message says what it is, the others are its bytes. */
export function download(parts: Parts, call: StreamingCall): void {
  giveDownload(parts, call).catch((error: unknown) => {
    if (!call.cancelled) call.emit("error", parts.tell(error, statusFrom(error)));
  });
}

async function giveDownload(parts: Parts, call: StreamingCall): Promise<void> {
  const from = parts.door.principalOf(call.metadata);
  parts.onReceived(call.request.length);
  const request = decode(DownloadRequestSchema, call.request);
  const name = checkedName(request.name);
  permit(from, "download", name);
  const source = await parts.handler.download(checkedTarget(request.target), name, from);
  let offset = checkedOffset(request.offset, source.sizeBytes);
  if (offset > 0 && Buffer.compare(request.sha256, source.sha256) !== 0)
    throw new BridgeError("bridge.conflict", "there is other content under that name by now");
  const out = outgoingOf(parts, call);
  call.on("cancelled", () => out.abandon());
  const send = (part: DownloadResponse["part"]): Promise<void> =>
    out.sendNow(toBinary(DownloadResponseSchema, create(DownloadResponseSchema, { part })));
  const content = { name, size: BigInt(source.sizeBytes), sha256: source.sha256 };
  await send({ case: "content", value: { $typeName: "agent_mesh.bridge.v1.Content", ...content } });
  const hash = offset === 0 ? createHash("sha256") : undefined;
  while (offset < source.sizeBytes) {
    const chunk = await source.read(offset, Math.min(CHUNK_BYTES, source.sizeBytes - offset));
    if (chunk.length === 0) throw new BridgeError("bridge.failed", "the content came to an end");
    hash?.update(chunk);
    await send({ case: "chunk", value: chunk });
    offset += chunk.length;
  }
  if (hash !== undefined && !hash.digest().equals(source.sha256))
    throw new BridgeError("bridge.failed", "the content is not what its digest says");
  out.end();
}
