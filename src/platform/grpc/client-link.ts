import type { ClientDuplexStream, ServiceError } from "@grpc/grpc-js";
import { BridgeError, type BridgeLinkChannel, type BridgeLinkReceiver } from "../bridge.ts";
import { bufferOf } from "./packing.ts";

/** Who else hears of a link. */
interface LinkWatch {
  onReceived(bytes: number): void;
  onSent(bytes: number): void;
  /** @returns what the error means */
  onFailed(error: ServiceError): BridgeError;
}

/** @returns the device's end of a link over a call that was just made */
export function attach(
  call: ClientDuplexStream<Buffer, Buffer>,
  receiver: BridgeLinkReceiver,
  watch: LinkWatch,
): BridgeLinkChannel {
  let queuedBytes = 0;
  let over = false;
  const closed = (error: BridgeError | undefined): void => {
    if (over) return;
    over = true;
    receiver.closed(error);
  };
  call.on("data", (frame: Buffer) => {
    watch.onReceived(frame.length);
    if (!over) receiver.frame(frame);
  });
  call.on("error", (error: ServiceError) => {
    const known = watch.onFailed(error);
    closed(known);
  });
  call.on("end", () => {
    // An error says more, and comes right after.
    call.once("status", () => closed(new BridgeError("bridge.closed", "the other end closed")));
    call.end();
  });
  return {
    get queuedBytes() {
      return queuedBytes;
    },
    send(frame) {
      if (over) return;
      queuedBytes += frame.length;
      call.write(bufferOf(frame), () => {
        queuedBytes -= frame.length;
        watch.onSent(frame.length);
      });
    },
    close() {
      over = true;
      call.cancel();
    },
  };
}
