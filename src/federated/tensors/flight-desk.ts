import type { PeerId } from "../../platform/signer.ts";
import type { TensorExchangeOptions } from "./options.ts";
import { PartialTensor } from "./partial-tensor.ts";
import { TensorError } from "./tensor-error.ts";
import { type FlightParts, TensorFlight } from "./tensor-flight.ts";
import type { TensorShelf } from "./tensor-shelf.ts";

/** Holders that wait with a fetch. */
const HOLDERS_MAX = 64;

/** What to fetch, and from whom. */
export interface FetchOptions {
  /** How long it is said to be. */
  readonly sizeBytes: number;
  /** Who may have it, most likely first. */
  readonly holders: Iterable<PeerId>;
  readonly signal?: AbortSignal | undefined;
  /** Hears how many bytes are there; fewer than before when wrong ones were thrown away. Does not throw. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

/** What a desk works with. */
export interface FlightDeskParts
  extends Pick<FlightParts, "clock" | "random" | "hasher" | "logger" | "gate" | "reach"> {
  readonly shelf: Pick<TensorShelf, "hold">;
}

/** Totals that only grow, but for the last three. */
export interface FlightCounts {
  /** Tensors that came whole and right. */
  readonly fetched: number;
  /** Times that a holder went on behind bytes that were there already. */
  readonly resumed: number;
  /** Holders that gave wrong bytes. */
  readonly liars: number;
  /** Of tensors, in the answer or in bulk, wanted or not. */
  readonly receivedBytes: number;
  /** Under way now. */
  readonly flights: number;
  /** Behind them. */
  readonly waiting: number;
  /** Taken by what is under way, and by what broken fetches left behind. */
  readonly inFlightBytes: number;
}

/** Somebody who wants what is being fetched. */
interface Passenger {
  readonly resolve: (bytes: Uint8Array) => void;
  readonly reject: (error: unknown) => void;
  readonly onProgress: ((bytes: number) => void) | undefined;
}

/** A fetch with all who want it. */
interface Booking {
  readonly key: string;
  readonly hash: string;
  readonly sizeBytes: number;
  readonly holders: Set<PeerId>;
  readonly passengers: Set<Passenger>;
  /** Once it runs. */
  flight?: TensorFlight;
}

/**
 * Has at most one fetch for each tensor under way, so many at once, in order of their coming. What a fetch that failed has
 * brought so far waits for the next one of the same tensor, as long as nobody needs the room.
 */
export class FlightDesk {
  readonly #parts: FlightDeskParts;
  readonly #options: TensorExchangeOptions;
  /** In order of their coming. */
  readonly #bookings = new Map<string, Booking>();
  /** Oldest first. */
  readonly #leftovers = new Map<string, PartialTensor>();
  #isStopped = false;
  #running = 0;
  #reservedBytes = 0;
  #leftoverBytes = 0;
  #fetched = 0;
  #resumed = 0;
  #liars = 0;
  #receivedBytes = 0;

  constructor(parts: FlightDeskParts, options: TensorExchangeOptions) {
    this.#parts = parts;
    this.#options = options;
  }

  /** @returns whether somebody wants this tensor already */
  has(hash: string, sizeBytes: number): boolean {
    return this.#bookings.has(keyOf(hash, sizeBytes));
  }

  /** @returns the fetch of that tensor, if it is under way */
  find(hash: string, sizeBytes: number): TensorFlight | undefined {
    return this.#bookings.get(keyOf(hash, sizeBytes))?.flight;
  }

  /** @returns the bytes, checked and on the shelf if there is room @throws TensorError */
  async fetch(
    hash: string,
    { sizeBytes, holders, signal, onProgress }: FetchOptions,
  ): Promise<Uint8Array> {
    if (signal?.aborted === true) throw aborted(signal);
    const booking = this.#book(hash, sizeBytes, holders);
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
    const passenger = { resolve, reject, onProgress };
    booking.passengers.add(passenger);
    const leave = (): void => {
      booking.passengers.delete(passenger);
      const error = aborted(signal);
      reject(error);
      if (booking.passengers.size === 0) this.#cancel(booking, error);
    };
    signal?.addEventListener("abort", leave, { once: true });
    this.#pump();
    try {
      return await promise;
    } finally {
      signal?.removeEventListener("abort", leave);
    }
  }

  linkDown(peer: PeerId): void {
    for (const { flight } of this.#bookings.values()) flight?.linkDown(peer);
  }

  /** Ends all fetches, those that wait too. */
  stop(): void {
    this.#isStopped = true;
    for (const booking of this.#bookings.values()) {
      const error = stopped();
      for (const { reject } of booking.passengers) reject(error);
      this.#cancel(booking, error);
    }
    this.#leftovers.clear();
    this.#leftoverBytes = 0;
  }

  counts(): FlightCounts {
    return {
      fetched: this.#fetched,
      resumed: this.#resumed,
      liars: this.#liars,
      receivedBytes: this.#receivedBytes,
      flights: this.#running,
      waiting: this.#bookings.size - this.#running,
      inFlightBytes: this.#reservedBytes + this.#leftoverBytes,
    };
  }

  #book(hash: string, sizeBytes: number, holders: Iterable<PeerId>): Booking {
    if (this.#isStopped) throw stopped();
    const key = keyOf(hash, sizeBytes);
    let booking = this.#bookings.get(key);
    if (booking === undefined) {
      const { inFlightBytesMax, waitingMax } = this.#options;
      if (sizeBytes > inFlightBytesMax)
        throw new TensorError(
          "tensor.too-large",
          `a tensor of ${sizeBytes} bytes: raise inFlightBytesMax (${inFlightBytesMax})`,
        );
      if (this.#bookings.size - this.#running >= waitingMax)
        throw new TensorError("tensor.busy", `${waitingMax} fetches wait: raise waitingMax`);
      booking = { key, hash, sizeBytes, holders: new Set(), passengers: new Set() };
      this.#bookings.set(key, booking);
    }
    for (const peer of holders) if (booking.holders.size < HOLDERS_MAX) booking.holders.add(peer);
    booking.flight?.add(booking.holders);
    return booking;
  }

  /** Begins what there is room for. One that has none keeps its turn. */
  #pump(): void {
    const { fetchesMax, inFlightBytesMax } = this.#options;
    for (const booking of this.#bookings.values()) {
      if (booking.flight !== undefined) continue;
      if (this.#running >= fetchesMax) return;
      if (this.#reservedBytes + booking.sizeBytes > inFlightBytesMax) return;
      this.#begin(booking);
    }
  }

  #begin(booking: Booking): void {
    const { key, hash, sizeBytes, passengers } = booking;
    const partial = this.#takeLeftover(key) ?? new PartialTensor(hash, sizeBytes);
    this.#running++;
    this.#reservedBytes += sizeBytes;
    for (const oldest of this.#leftovers.keys()) {
      if (this.#reservedBytes + this.#leftoverBytes <= this.#options.inFlightBytesMax) break;
      this.#takeLeftover(oldest);
    }
    const flight = new TensorFlight(
      {
        ...this.#parts,
        options: this.#options,
        onBytes: (bytes, there) => {
          this.#receivedBytes += bytes;
          for (const { onProgress } of passengers) onProgress?.(there);
        },
        onResume: () => void this.#resumed++,
        onLiar: () => void this.#liars++,
      },
      partial,
    );
    booking.flight = flight;
    flight.add(booking.holders);
    flight.run().then(
      (bytes) => this.#landed(booking, bytes),
      (error: unknown) => {
        if (!this.#over(booking)) return;
        for (const { reject } of passengers) reject(error);
      },
    );
  }

  #landed(booking: Booking, bytes: Uint8Array): void {
    if (!this.#over(booking)) return;
    const { hash, passengers } = booking;
    this.#fetched++;
    try {
      this.#parts.shelf.hold(hash, bytes);
    } catch (error) {
      // Whoever asked has the bytes all the same.
      this.#parts.logger.debug("a fetched tensor was not put on the shelf", { hash, error });
    }
    for (const { resolve } of passengers) resolve(bytes);
  }

  /** Nobody wants it any more. */
  #cancel(booking: Booking, error: TensorError): void {
    booking.flight?.abort(error);
    this.#over(booking);
  }

  /** Gives its place and its room back. @returns false where that was done before */
  #over(booking: Booking): boolean {
    const { key, flight, sizeBytes } = booking;
    if (this.#bookings.get(key) !== booking) return false;
    this.#bookings.delete(key);
    if (flight !== undefined) {
      this.#running--;
      this.#reservedBytes -= sizeBytes;
      const { partial } = flight;
      if (partial.length > 0 && !partial.isWhole && !this.#isStopped) {
        this.#leftovers.set(key, partial);
        this.#leftoverBytes += sizeBytes;
      }
    }
    if (!this.#isStopped) this.#pump();
    return true;
  }

  #takeLeftover(key: string): PartialTensor | undefined {
    const partial = this.#leftovers.get(key);
    if (partial === undefined) return undefined;
    this.#leftovers.delete(key);
    this.#leftoverBytes -= partial.sizeBytes;
    return partial;
  }
}

/** Claims of different lengths for one hash do not spoil each other. */
function keyOf(hash: string, sizeBytes: number): string {
  return `${hash}/${sizeBytes}`;
}

/** @returns the error of who has given up */
function aborted(signal: AbortSignal | undefined): TensorError {
  return new TensorError("tensor.aborted", "the fetch was given up", { cause: signal?.reason });
}

function stopped(): TensorError {
  return new TensorError("tensor.stopped", "the exchange of tensors has been stopped");
}
