import type { MultiaddrConnection } from "@libp2p/interface";
import type { Tally } from "../network-tally.ts";
import type { Libp2pSettings } from "./settings.ts";

/** Told once in this time for one address; the rest is counted. */
const TELL_EVERY_MS = 60_000;
const ADDRESSES_MAX = 256;

/**
 * Counts those who come in and can not say who they are: the wrong private network's key, no libp2p at all, or a scan of
 * ports. Nobody has a name by then, so there is nobody to hold it against.
 */
export class HandshakeWatch {
  readonly #settings: Pick<Libp2pSettings, "clock" | "logger">;
  readonly #tally: Tally;
  readonly #underWay = new WeakSet<MultiaddrConnection>();
  readonly #toldAtMs = new Map<string, number>();

  constructor(settings: Pick<Libp2pSettings, "clock" | "logger">, tally: Tally) {
    this.#settings = settings;
    this.#tally = tally;
  }

  /** Somebody has connected. */
  begun(connection: MultiaddrConnection): void {
    this.#underWay.add(connection);
    connection.addEventListener("close", () => {
      if (this.#underWay.delete(connection)) this.#failed(connection);
    });
  }

  /** It has shown its key. */
  done(connection: MultiaddrConnection): void {
    this.#underWay.delete(connection);
  }

  #failed({ remoteAddr }: MultiaddrConnection): void {
    this.#tally.refused("handshake.failed");
    const { clock, logger } = this.#settings;
    const [address = ""] = remoteAddr.getComponents().map(({ value }) => value ?? "");
    const nowMs = clock.monotonicMs();
    if (nowMs - (this.#toldAtMs.get(address) ?? Number.NEGATIVE_INFINITY) < TELL_EVERY_MS) return;
    if (this.#toldAtMs.size >= ADDRESSES_MAX) this.#toldAtMs.clear();
    this.#toldAtMs.set(address, nowMs);
    logger.warn(
      "somebody connected to the mesh and could not say who it is: another mesh.networkKeyFile, or no node at all",
      { address },
    );
  }
}
