import { create, toBinary } from "@bufbuild/protobuf";
import type { ServerUnaryCall, sendUnaryData } from "@grpc/grpc-js";
import {
  ExchangeRequestSchema,
  ExchangeResponseSchema,
  GetUploadRequestSchema,
  GetUploadResponseSchema,
  ListAgentsRequestSchema,
  ListAgentsResponseSchema,
  PublishRequestSchema,
  PublishResponseSchema,
} from "../../wire/agent_mesh/bridge/v1/bridge_pb.ts";
import { BridgeError, type BridgePrincipal } from "../bridge.ts";
import { agentMessage, pageOfAgents } from "./agents.ts";
import {
  checkedContent,
  checkedId,
  checkedTarget,
  checkedTask,
  checkedTopic,
  checkedVia,
  decode,
} from "./checked.ts";
import { Packer } from "./packing.ts";
import { type Parts, permit, reply } from "./parts.ts";

type Answer = (
  bytes: Buffer,
  from: BridgePrincipal,
  timeoutMs: number,
) => Uint8Array | Promise<Uint8Array>;

/** A handler as grpc-js wants it. */
type UnaryHandler = (call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) => void;

/** @returns the handlers of calls with one message either way */
export function unaryCalls(parts: Parts): Readonly<Record<string, UnaryHandler>> {
  const { handler, limits } = parts;
  return {
    exchange: unary(parts, async (bytes, from, timeoutMs) => {
      const request = decode(ExchangeRequestSchema, bytes);
      const task = checkedTask(request.task);
      permit(from, "exchange", task);
      fits(request.payload, limits.messageBytesMax);
      const id = checkedId(request.id, parts.makeId);
      const payload = await handler.exchange(
        {
          id,
          target: checkedTarget(request.target),
          task,
          payload: request.payload,
          via: checkedVia(request.via),
          timeoutMs,
        },
        from,
      );
      fits(payload, limits.messageBytesMax);
      return toBinary(ExchangeResponseSchema, create(ExchangeResponseSchema, { id, payload }));
    }),
    publish: unary(parts, async (bytes, from) => {
      const request = decode(PublishRequestSchema, bytes);
      const topic = checkedTopic(request.topic);
      permit(from, "publish", topic);
      fits(request.payload, limits.messageBytesMax);
      const id = checkedId(request.id, parts.makeId);
      const author = from.peerId === undefined ? {} : { from: from.peerId };
      const receivers = await handler.publish(
        { id, topic, payload: request.payload, via: [], ...author },
        from,
      );
      return toBinary(PublishResponseSchema, create(PublishResponseSchema, { id, receivers }));
    }),
    listAgents: unary(parts, (bytes, from) => {
      const request = decode(ListAgentsRequestSchema, bytes);
      permit(from, "agents", "");
      const page = pageOfAgents(handler.agents(from), request.pageSize, request.pageToken);
      const response = create(ListAgentsResponseSchema, {
        agents: page.agents.map(agentMessage),
        nextPageToken: page.next,
      });
      return toBinary(ListAgentsResponseSchema, response);
    }),
    getUpload: unary(parts, async (bytes, from) => {
      const request = decode(GetUploadRequestSchema, bytes);
      const content = checkedContent(request.content);
      permit(from, "upload", content.name);
      const offset = await handler.uploadOffset(checkedTarget(request.target), content, from);
      const response = create(GetUploadResponseSchema, { offset: BigInt(offset) });
      return toBinary(GetUploadResponseSchema, response);
    }),
  };
}

function unary(parts: Parts, answer: Answer): UnaryHandler {
  const run = async (call: ServerUnaryCall<Buffer, Buffer>): Promise<Buffer> => {
    const from = parts.door.principalOf(call.metadata);
    parts.onReceived(call.request.length);
    const bytes = await answer(call.request, from, timeoutOf(parts, call));
    const packer = new Packer(call.metadata, parts.gzip);
    const packed = await packer.pack(bytes);
    call.sendMetadata(packer.headers());
    parts.onSent(packed.length);
    return packed;
  };
  return (call, done) => void reply(parts, run(call), done);
}

function timeoutOf(parts: Parts, call: ServerUnaryCall<Buffer, Buffer>): number {
  const deadline = call.getDeadline();
  const { timeoutMs, timeoutMsMax } = parts.limits;
  const leftMs = Number(deadline) - Date.now();
  return Number.isFinite(leftMs)
    ? Math.min(Math.max(1, Math.ceil(leftMs)), timeoutMsMax)
    : timeoutMs;
}

function fits(payload: Uint8Array, bytesMax: number): void {
  if (payload.length > bytesMax)
    throw new BridgeError("bridge.too-large", `${payload.length} bytes; ${bytesMax} are allowed`);
}
