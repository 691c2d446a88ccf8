import type { Socket } from "node:net";
import { WriteBuffer } from "./write-buffer.ts";

/**
 * Makes a socket gather its writes ({@link WriteBuffer}). mqtt-packet writes a packet in many small pieces
 * and corks the stream around them, which still makes a request object and a vector entry of each piece.
 */
export function coalesceWrites(socket: Socket): void {
  const write = socket.write.bind(socket);
  const end = socket.end.bind(socket);
  const out = new WriteBuffer((chunk) => {
    if (socket.writable) write(chunk);
  });
  const gather = (
    chunk: Uint8Array | string,
    encodingOrDone?: BufferEncoding | ((error?: Error | null) => void),
    done?: (error?: Error | null) => void,
  ): boolean => {
    const encoding = typeof encodingOrDone === "string" ? encodingOrDone : "utf8";
    out.append(typeof chunk === "string" ? Buffer.from(chunk, encoding) : chunk);
    const callback = typeof encodingOrDone === "function" ? encodingOrDone : done;
    if (callback !== undefined) process.nextTick(callback);
    return !socket.writableNeedDrain;
  };
  socket.write = gather;
  socket.cork = () => undefined;
  socket.uncork = () => undefined;
  socket.end = ((...rest: Parameters<Socket["end"]>) => {
    out.flush();
    return end(...rest);
  }) as Socket["end"];
}
