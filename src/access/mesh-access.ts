import type { Timer } from "../platform/clock.ts";
import type { PeerId } from "../platform/signer.ts";
import { Audit } from "./audit.ts";
import { BanList } from "./ban-list.ts";
import { Denials } from "./denials.ts";
import { type AccessNetwork, GrantCourier } from "./grant-courier.ts";
import { GrantDesk, type GrantInfo, type GrantWish, type Imported } from "./grant-desk.ts";
import { GrantExchange } from "./grant-exchange.ts";
import { GrantBook, type GrantBookParts } from "./grants.ts";
import { IdentityLimiter } from "./identity-limiter.ts";
import type { MeshAccessOptions } from "./mesh-access-options.ts";
import { ACCESS_PROTOCOL_ID, MeshGate } from "./mesh-gate.ts";
import { PeerLedger } from "./peer-ledger.ts";
import { RateLimits, type RateSettings } from "./rate-limits.ts";
import { Requirements } from "./requirements.ts";
import { RoleTable } from "./roles.ts";

const BANS_MAX = 1_024;
const RATED_PEERS_MAX = 1_024;
const NETWORKS_MAX = 1_024;
/** Grants end while links last. */
const SWEEP_EVERY_MS = 15_000;
/** Where nobody needs one there are only bans to tell of that have ended, and what was held back. */
const SWEEP_OPEN_EVERY_MS = 60_000;
const CHECKPOINT_EVERY_MS = 3_600_000;
/** Tight, but a full book passes in one go. */
const ACCESS_RATE = { framesPerSecond: 5, bytesPerSecond: 262_144, burstSeconds: 16 };

/** What access control is made of. */
export interface MeshAccessParts extends Omit<GrantBookParts, "audit"> {
  readonly options: MeshAccessOptions;
  /** Links kept at once. */
  readonly connectionsMax: number;
}

/**
 * Access control of the mesh, wired together: make it, give {@link gate} to the network, {@link attach} the network,
 * and pass on which links come and go.
 */
export class MeshAccess {
  readonly requirements = new Requirements();
  readonly roles: RoleTable;
  readonly audit: Audit;
  readonly book: GrantBook;
  readonly ledger: PeerLedger;
  readonly gate: MeshGate;
  readonly denials: Denials;
  readonly identities: IdentityLimiter;
  readonly #parts: MeshAccessParts;
  readonly #bans: BanList;
  readonly #desk: GrantDesk;
  readonly #courier: GrantCourier;
  readonly #timers = new Map<string, Timer>();
  #closed = false;

  private constructor(
    parts: MeshAccessParts,
    opened: { readonly roles: RoleTable; readonly audit: Audit; readonly book: GrantBook },
    bans: BanList,
  ) {
    const { clock, events, hasher, logger, options, signer } = parts;
    const { roles, audit, book } = opened;
    this.#parts = parts;
    this.roles = roles;
    this.audit = audit;
    this.book = book;
    this.#bans = bans;
    this.denials = new Denials({ audit, events });
    this.identities = new IdentityLimiter({
      identitiesPerMinute: options.rates.identitiesPerMinute,
      networksMax: NETWORKS_MAX,
    });
    this.ledger = new PeerLedger({
      self: signer.peerId,
      clock,
      logger,
      events,
      audit,
      bans,
      settings: options.ban,
      onBanned: (peer) => this.#courier.disconnect(peer),
    });
    this.gate = new MeshGate({
      self: signer.peerId,
      mode: options.mode,
      clock,
      book,
      ledger: this.ledger,
      rates: new RateLimits(rateSettings(options)),
      requirements: this.requirements,
      denials: this.denials,
    });
    this.#desk = new GrantDesk({ ...parts, audit }, roles, book);
    const exchange = new GrantExchange({
      book,
      signer,
      hasher,
      mayLearn: (peer) => options.mode === "open" || book.standingOf(peer).live,
      offence: (peer, kind) => this.ledger.offence(peer, kind),
      neighboursMax: parts.connectionsMax,
    });
    this.#courier = new GrantCourier({ clock, logger, exchange });
    const sweepMs = options.mode === "open" ? SWEEP_OPEN_EVERY_MS : SWEEP_EVERY_MS;
    this.#every("access sweep", sweepMs, () => this.#sweep());
    this.#every("access checkpoint", CHECKPOINT_EVERY_MS, () => bans.checkpoint());
  }

  /** Reads what is kept, and begins to keep it. @throws StoreError */
  static async open(parts: MeshAccessParts): Promise<MeshAccess> {
    const { options } = parts;
    const audit = await Audit.open(parts, { entriesMax: options.auditEntriesMax });
    const roles = new RoleTable(options.roles);
    const book = await GrantBook.open({ ...parts, audit }, { ...options, roles });
    const bans = await BanList.open(parts, { bansMax: BANS_MAX });
    return new MeshAccess(parts, { roles, audit, book }, bans);
  }

  /** Serves the access protocol on the network that was given {@link gate}. Before it starts. */
  attach(network: AccessNetwork): void {
    this.#courier.attach(network);
  }

  /** The first link to a peer is open. */
  linkUp(peer: PeerId): void {
    this.#courier.linkUp(peer);
  }

  /** The last link to a peer is gone. */
  linkDown(peer: PeerId): void {
    this.#courier.linkDown(peer);
  }

  /** Grants as people see them; to change them see {@link issue}, {@link revoke} and {@link import}. */
  get grants(): Pick<GrantDesk, "list" | "find" | "export" | "exportRevocations"> {
    return this.#desk;
  }

  /** Issues a grant and tells the neighbours; see {@link GrantDesk.issue}. */
  async issue(wish: GrantWish, by: string): Promise<GrantInfo> {
    const info = await this.#desk.issue(wish, by);
    const signed = this.book.get(info.id)?.signed;
    if (signed !== undefined) this.#courier.announceGrant(signed);
    return info;
  }

  /** Takes a grant back and tells the neighbours; see {@link GrantDesk.revoke}. @returns whether it is known here */
  async revoke(id: string, by: string): Promise<boolean> {
    const list = await this.#desk.revoke(id, by);
    if (list !== undefined) this.#courier.announceRevocations(list);
    return list !== undefined;
  }

  /** Takes back all that this device has issued and tells the neighbours; see {@link GrantDesk.revokeAll}. */
  async revokeAll(by: string): Promise<void> {
    this.#courier.announceRevocations(await this.#desk.revokeAll(by));
  }

  /** Takes in what was carried here, and tells the neighbours; see {@link GrantDesk.import}. */
  async import(text: string, by: string): Promise<Imported> {
    const imported = await this.#desk.import(text, by);
    if (imported.kind === "grant") this.#courier.announceGrant(imported.signed);
    else this.#courier.announceRevocations(imported.signed);
    return imported;
  }

  /** Bans a peer; see {@link PeerLedger.ban}. Durable when resolved. @throws StoreError */
  async ban(
    peer: PeerId,
    order: { readonly reason: string; readonly by: string; readonly durationMs?: number },
  ): Promise<boolean> {
    const banned = this.ledger.ban(peer, order);
    await this.#bans.flush();
    return banned;
  }

  /** Lifts a ban; see {@link PeerLedger.unban}. Durable when resolved. @throws StoreError */
  async unban(peer: PeerId, by: string): Promise<boolean> {
    const lifted = this.ledger.unban(peer, by);
    await this.#bans.flush();
    return lifted;
  }

  /** Writes everything that is pending. Idempotent. @throws StoreError */
  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#timers.values()) timer.cancel();
    this.#courier.close();
    this.#bans.checkpoint();
    const done = await Promise.allSettled([
      this.#bans.close(),
      this.book.close(),
      this.audit.close(),
    ]);
    for (const part of done) if (part.status === "rejected") throw part.reason;
  }

  /** Who has no grant any more, and guests, have to go. */
  #sweep(): void {
    this.ledger.sweep();
    this.denials.sweep(this.#parts.clock.monotonicMs());
    for (const peer of this.#courier.neighbours())
      if (!this.gate.admits(peer)) this.#courier.disconnect(peer);
  }

  #every(name: string, everyMs: number, work: () => void): void {
    const next = () => {
      if (this.#closed) return;
      const timer = this.#parts.clock.setTimer(name, everyMs, () => {
        work();
        next();
      });
      this.#timers.set(name, timer);
    };
    next();
  }
}

function rateSettings({ rates }: MeshAccessOptions): RateSettings {
  const { burstSeconds } = rates;
  return {
    peer: {
      framesPerSecond: rates.framesPerSecond,
      bytesPerSecond: rates.bytesPerSecond,
      burstSeconds,
    },
    global: {
      framesPerSecond: rates.globalFramesPerSecond,
      bytesPerSecond: rates.globalBytesPerSecond,
      burstSeconds,
    },
    protocols: {
      ...Object.fromEntries(
        Object.entries(rates.protocols).map(([name, rate]) => [name, { ...rate, burstSeconds }]),
      ),
      [ACCESS_PROTOCOL_ID]: ACCESS_RATE,
    },
    peersMax: RATED_PEERS_MAX,
  };
}
