import type { PeerId } from "../../platform/signer.ts";
import { isChange } from "./block.ts";
import { type Named, type Operation, sizeOfOperation } from "./operation.ts";

/** How often it is looked for what was not said again. */
const EXPIRE_EVERY_MS = 1_000;

/** Bounds of a pool. */
export interface PoolLimits {
  readonly poolBytesMax: number;
  readonly poolOperationsOfMemberMax: number;
  readonly poolKeptMs: number;
}

interface Waiting {
  readonly operation: Operation;
  untilMs: number;
}

interface Share {
  readonly waiting: Map<string, Waiting>;
  bytes: number;
}

/**
 * Operations that wait to be decided. Each member has a share of its own, and blocks take from all shares in turn: whoever
 * floods the others crowds out nothing but its own.
 */
export class Pool {
  readonly #limits: PoolLimits;
  readonly #shares = new Map<PeerId, Share>();
  /** Whose share an operation is in, by name. */
  readonly #owners = new Map<string, PeerId>();
  #dropped = 0;
  #expiredAtMs = 0;

  constructor(limits: PoolLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#owners.size;
  }

  /** Operations that gave way to later ones of the same member. */
  get dropped(): number {
    return this.#dropped;
  }

  /**
   * @param members how many share the room
   * @returns false when it was there already: then it stays for longer
   */
  add(
    owner: PeerId,
    { name, operation }: Named,
    nowMs: number,
    members: number,
    keptMs = this.#limits.poolKeptMs,
  ): boolean {
    const known = this.#owners.get(name);
    if (known !== undefined) {
      const before = this.#shares.get(known)?.waiting.get(name);
      if (before !== undefined) before.untilMs = Math.max(before.untilMs, nowMs + keptMs);
      return false;
    }
    const share = this.#shares.get(owner) ?? { waiting: new Map<string, Waiting>(), bytes: 0 };
    this.#shares.set(owner, share);
    share.waiting.set(name, { operation, untilMs: nowMs + keptMs });
    share.bytes += sizeOfOperation(operation);
    this.#owners.set(name, owner);
    const { poolBytesMax, poolOperationsOfMemberMax } = this.#limits;
    for (const oldest of share.waiting.keys()) {
      const isWithin =
        share.bytes <= poolBytesMax / Math.max(1, members) &&
        share.waiting.size <= poolOperationsOfMemberMax;
      if (isWithin || oldest === name) break;
      this.delete(oldest);
      this.#dropped++;
    }
    return true;
  }

  /** It was decided, or nobody waits for it any more. */
  delete(name: string): void {
    const owner = this.#owners.get(name);
    if (owner === undefined) return;
    this.#owners.delete(name);
    const share = this.#shares.get(owner);
    const waiting = share?.waiting.get(name);
    if (share === undefined || waiting === undefined) return;
    share.waiting.delete(name);
    share.bytes -= sizeOfOperation(waiting.operation);
    if (share.waiting.size === 0) this.#shares.delete(owner);
  }

  /** Drops what was not said again for too long. */
  expire(nowMs: number): void {
    if (nowMs - this.#expiredAtMs < EXPIRE_EVERY_MS) return;
    this.#expiredAtMs = nowMs;
    for (const { waiting } of this.#shares.values())
      for (const [name, { untilMs }] of waiting) if (untilMs <= nowMs) this.delete(name);
  }

  /** What a block is made of: the oldest of each share in turn, at most one change of members. It all stays in the pool. */
  pack(bytesMax: number, operationsMax: number): Operation[] {
    const packed: Operation[] = [];
    const shares = [...this.#shares.values()].map(({ waiting }) => waiting.values());
    let bytes = 0;
    let hasChange = false;
    let open = shares;
    while (open.length > 0) {
      const rest: typeof open = [];
      for (const share of open) {
        const next = share.next();
        if (next.done === true) continue;
        rest.push(share);
        const { operation } = next.value;
        if (isChange(operation)) {
          if (hasChange) continue;
          hasChange = true;
        }
        const size = sizeOfOperation(operation);
        if (packed.length === operationsMax || bytes + size > bytesMax) return packed;
        packed.push(operation);
        bytes += size;
      }
      open = rest;
    }
    return packed;
  }
}
