/** What may be done. Names are stable; rooms that come later bring their own. */
export type Permission = string;

/** What the names of roles look like, as a regular expression. */
export const ROLE_NAME_PATTERN = "^[a-z][a-z0-9_-]{0,31}$";
/** What the names of permissions look like, as a regular expression. */
export const PERMISSION_NAME_PATTERN = "^[a-z][a-z0-9_]{0,31}$";

const ROLE_NAME = new RegExp(ROLE_NAME_PATTERN);
const PERMISSION_NAME = new RegExp(PERMISSION_NAME_PATTERN);

const MEMBER = ["membership", "publish", "subscribe", "request", "transfer", "relay"] as const;

/**
 * Roles that every device knows. `trainer`, `aggregator` and `validator` are those of federated learning;
 * `member` may use what the base protocols offer, `operator` may also look at devices and give them orders.
 */
export const builtInRoles: Readonly<Record<string, readonly Permission[]>> = {
  member: MEMBER,
  operator: [...MEMBER, "observe", "command"],
  trainer: ["read_data", "submit_update"],
  aggregator: ["read_updates", "write_model"],
  validator: ["read_model", "validate"],
};

/** What whoever has a link may do in open mode. */
export const openPermissions: readonly Permission[] = MEMBER;

/** @returns whether a role can be called that. */
export function isRoleName(name: string): boolean {
  return ROLE_NAME.test(name);
}

/** @returns whether a permission can be called that. */
export function isPermissionName(name: string): boolean {
  return PERMISSION_NAME.test(name);
}

/** Roles by name: the built-in ones and those of the settings. What a role allows is decided on each device. */
export class RoleTable {
  readonly #roles: ReadonlyMap<string, readonly Permission[]>;

  /** @param own roles of the settings, with names that are not built in (see `meshAccessFaults`) */
  constructor(own: Readonly<Record<string, readonly Permission[]>>) {
    this.#roles = new Map([...Object.entries(own), ...Object.entries(builtInRoles)]);
  }

  /** @returns what the role allows; nothing for one that this device does not know. */
  permissionsOf(role: string): readonly Permission[] {
    return this.#roles.get(role) ?? [];
  }

  has(role: string): boolean {
    return this.#roles.has(role);
  }

  /** All roles with what they allow, by name. */
  list(): readonly { readonly name: string; readonly permissions: readonly Permission[] }[] {
    return [...this.#roles]
      .map(([name, permissions]) => ({ name, permissions }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }
}
