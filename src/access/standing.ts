import type { Clock } from "../platform/clock.ts";
import type { GrantStatement } from "./grant-statement.ts";
import type { Permission, RoleTable } from "./roles.ts";

/** Why a grant does not allow now what it says; without any grant it is `access.denied`. */
export type StandingRefusal =
  | "access.denied"
  | "access.expired"
  | "access.not-yet-valid"
  | "access.clock-untrusted";

/** What a node's grants come to at some time. */
export class Standing {
  /** Whether any grant counts now. */
  readonly live: boolean;
  readonly permissions: ReadonlySet<Permission>;
  /** Permissions of grants that do not count now. */
  readonly #refusals: ReadonlyMap<Permission, StandingRefusal>;
  /** Wall clock, ms since 1970, between which nothing changes by itself; undefined: never anything does. */
  readonly #span: { readonly fromMs: number; readonly untilMs: number } | undefined;
  readonly #clockTrusted: boolean;

  /** @param grants genuine ones, whose issuers count and have not taken them back */
  constructor(grants: readonly GrantStatement[], roles: RoleTable, clock: Clock) {
    const nowMs = clock.wallMs();
    this.#clockTrusted = clock.wallTrusted();
    const permissions = new Set<Permission>();
    const refusals = new Map<Permission, StandingRefusal>();
    let live = false;
    let fromMs = Number.NEGATIVE_INFINITY;
    let untilMs = Number.POSITIVE_INFINITY;
    for (const grant of grants) {
      for (const edgeMs of [grant.notBeforeMs, grant.expiresMs]) {
        if (edgeMs <= nowMs) fromMs = Math.max(fromMs, edgeMs);
        else untilMs = Math.min(untilMs, edgeMs);
      }
      const refusal = refusalOf(grant, nowMs, this.#clockTrusted);
      if (refusal === undefined) live = true;
      for (const permission of permissionsOf(grant, roles))
        if (refusal === undefined) permissions.add(permission);
        else refusals.set(permission, refusal);
    }
    const timed = grants.some((grant) => isTimed(grant));
    this.live = live;
    this.permissions = permissions;
    this.#refusals = refusals;
    this.#span = timed ? { fromMs, untilMs } : undefined;
  }

  /** Whether it is still what the grants come to, as far as time is concerned. */
  holds(clock: Clock): boolean {
    if (this.#span === undefined) return true;
    const nowMs = clock.wallMs();
    return (
      nowMs >= this.#span.fromMs &&
      nowMs < this.#span.untilMs &&
      clock.wallTrusted() === this.#clockTrusted
    );
  }

  /** @returns why the permission is not there, or undefined when it is. */
  refusalOf(permission: Permission): StandingRefusal | undefined {
    if (this.permissions.has(permission)) return undefined;
    return this.#refusals.get(permission) ?? "access.denied";
  }
}

/** @returns all that a grant would allow. */
function permissionsOf(grant: GrantStatement, roles: RoleTable): readonly Permission[] {
  return [...grant.permissions, ...grant.roles.flatMap((role) => roles.permissionsOf(role))];
}

function isTimed(grant: GrantStatement): boolean {
  return grant.notBeforeMs > 0 || Number.isFinite(grant.expiresMs);
}

/** @returns why the grant does not count at that time, or undefined when it does. */
export function refusalOf(
  grant: GrantStatement,
  nowMs: number,
  clockTrusted: boolean,
): Exclude<StandingRefusal, "access.denied"> | undefined {
  if (!isTimed(grant)) return undefined;
  if (!clockTrusted) return "access.clock-untrusted";
  if (nowMs >= grant.expiresMs) return "access.expired";
  return nowMs < grant.notBeforeMs ? "access.not-yet-valid" : undefined;
}
