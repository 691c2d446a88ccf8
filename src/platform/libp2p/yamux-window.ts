import type { Stream } from "@libp2p/interface";

/** Of small frames, what may come before the other side is told that there is room again. */
const UNTOLD_BYTES_MAX = 16_384;

/** What yamux 8 has and does not declare. */
interface YamuxInternals {
  /** Bytes that the other side may send after an update, and now. */
  recvWindow: number;
  readonly recvWindowCapacity: number;
  sendWindowUpdate(): void;
}

/**
 * js-libp2p's yamux opens its window anew for every frame it gets, in a packet of its own that is encrypted and sent:
 * of a small request and its answer that is half of all packets. From now on this stream tells of small frames
 * together, as other implementations do; after large ones it still does at once, so that the window can grow.
 * Streams of other muxers stay as they are.
 */
export function lazyWindow(stream: Stream): void {
  tellAfter(stream, UNTOLD_BYTES_MAX);
}

/**
 * Opens the window at once and tells of a quarter of it at a time, where the other side keeps to a bound of its own:
 * growing it by and by costs a packet for every frame.
 * @param bytes not more than the muxer's own largest window, to which it would fall back
 */
export function wideWindow(stream: Stream, bytes: number): void {
  const yamux = tellAfter(stream, bytes / 4);
  if (yamux === undefined) return;
  yamux.recvWindow = Math.max(yamux.recvWindow, bytes);
  yamux.sendWindowUpdate();
}

function tellAfter(stream: Stream, bytes: number): YamuxInternals | undefined {
  const yamux = stream as Stream & Partial<YamuxInternals>;
  const update = yamux.sendWindowUpdate?.bind(yamux);
  if (update === undefined || yamux.recvWindow === undefined) return undefined;
  const internals = yamux as Stream & YamuxInternals;
  internals.sendWindowUpdate = () => {
    if (internals.recvWindow - internals.recvWindowCapacity >= bytes) update();
  };
  return internals;
}
