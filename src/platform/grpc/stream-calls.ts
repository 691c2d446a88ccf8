import { create, toBinary } from "@bufbuild/protobuf";
import type { ServerDuplexStream, ServerWritableStream } from "@grpc/grpc-js";
import {
  SubscribeRequestSchema,
  SubscribeResponseSchema,
  WatchAgentsRequestSchema,
  type WatchAgentsResponse,
  WatchAgentsResponseSchema,
} from "../../wire/agent_mesh/bridge/v1/bridge_pb.ts";
import { BridgeError } from "../bridge.ts";
import { agentMessage } from "./agents.ts";
import { checkedFilters, decode } from "./checked.ts";
import { Outgoing } from "./outgoing.ts";
import { Packer } from "./packing.ts";
import { type Parts, permit } from "./parts.ts";
import { statusFrom } from "./status.ts";

/** A call that is answered by a stream. */
export type StreamingCall = ServerWritableStream<Buffer, Buffer>;

/** @returns what sends the messages of a call */
export function outgoingOf(
  parts: Parts,
  call: StreamingCall | ServerDuplexStream<Buffer, Buffer>,
): Outgoing {
  return new Outgoing(call, new Packer(call.metadata, parts.gzip), parts.onSent);
}

/** Topics, for as long as the client reads. */
export function subscribe(parts: Parts, call: StreamingCall): void {
  serve(parts, call, (send) => {
    const from = parts.door.principalOf(call.metadata);
    const filters = checkedFilters(decode(SubscribeRequestSchema, call.request).filters);
    for (const filter of filters) permit(from, "subscribe", filter);
    const allowed = () => filters.every((filter) => from.allows("subscribe", filter));
    const end = parts.handler.subscribe(filters, from, ({ via, ...message }) => {
      const response = create(SubscribeResponseSchema, { message: { ...message, via: [...via] } });
      send(toBinary(SubscribeResponseSchema, response));
    });
    return { end, allowed };
  });
}

/** The fleet, for as long as the client reads. */
export function watchAgents(parts: Parts, call: StreamingCall): void {
  serve(parts, call, (send) => {
    const from = parts.door.principalOf(call.metadata);
    decode(WatchAgentsRequestSchema, call.request);
    permit(from, "agents", "");
    const tell = (change: WatchAgentsResponse["change"]): void =>
      send(toBinary(WatchAgentsResponseSchema, create(WatchAgentsResponseSchema, { change })));
    // Both in one turn of the event loop: no change gets lost in between.
    const end = parts.handler.watchAgents(from, (change) =>
      tell(
        change.kind === "removed"
          ? { case: "removedPeerId", value: change.peerId }
          : { case: "upserted", value: agentMessage(change.agent) },
      ),
    );
    for (const agent of parts.handler.agents(from))
      tell({ case: "upserted", value: agentMessage(agent) });
    tell({ case: "complete", value: true });
    return { end, allowed: () => from.allows("agents", "") };
  });
}

/** @param begin starts it, and returns what ends it, and whether the client may have what comes: a token may be revoked */
function serve(
  parts: Parts,
  call: StreamingCall,
  begin: (send: (bytes: Uint8Array) => void) => { end: () => void; allowed: () => boolean },
): void {
  let begun: ReturnType<typeof begin> | undefined;
  let over = false;
  const stop = (): void => {
    over = true;
    begun?.end();
    begun = undefined;
  };
  parts.onReceived(call.request.length);
  let out: Outgoing | undefined;
  try {
    const waiting: Uint8Array[] = [];
    begun = begin((bytes) => {
      if (over) return;
      if (out === undefined) {
        waiting.push(bytes);
        return;
      }
      if (begun?.allowed() === false) {
        stop();
        out.fail(new BridgeError("bridge.denied", "the credentials are not good any more"));
        return;
      }
      if (out.queuedBytes + bytes.length > parts.limits.queueBytesMax && out.queuedBytes > 0) {
        stop();
        out.fail(new BridgeError("bridge.slow-reader", "what came was not read in time"));
        return;
      }
      out.send(bytes);
    });
    // The headers say that it stands, so they come after.
    out = outgoingOf(parts, call);
    for (const bytes of waiting) out.send(bytes);
    const sending = out;
    call.on("cancelled", () => {
      stop();
      sending.abandon();
    });
  } catch (error) {
    stop();
    call.emit("error", parts.tell(error, statusFrom(error)));
  }
}

/** Keeps a device attached. */
export function link(parts: Parts, call: ServerDuplexStream<Buffer, Buffer>): void {
  try {
    const from = parts.door.principalOf(call.metadata);
    permit(from, "link", from.peerId ?? "");
    const out = outgoingOf(parts, call);
    let over = false;
    const receiver = parts.handler.link(
      {
        get queuedBytes() {
          return out.queuedBytes;
        },
        send: (frame) => out.send(frame),
        close(error) {
          over = true;
          if (error === undefined) out.end();
          else out.fail(error);
        },
      },
      from,
    );
    const closed = (error: BridgeError | undefined): void => {
      if (over) return;
      over = true;
      receiver.closed(error);
    };
    call.on("data", (frame: Buffer) => {
      parts.onReceived(frame.length);
      if (!over) receiver.frame(frame);
    });
    call.on("end", () => {
      closed(undefined);
      out.end();
    });
    call.on("cancelled", () => {
      out.abandon();
      closed(new BridgeError("bridge.closed", "the connection ended"));
    });
  } catch (error) {
    call.emit("error", parts.tell(error, statusFrom(error)));
  }
}
