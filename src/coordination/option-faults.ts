import type { CoordinationOptions } from "./options.ts";
import { LINK_FEATURES, ROLES_FEATURE } from "./roles/suitability.ts";

/** What agents find out of themselves; a skill of that name would be taken for it. */
const OWN_FEATURES: readonly string[] = [ROLES_FEATURE, ...LINK_FEATURES, "browser"];

/** @returns what each key of `coordination` allows and its meaning does not; every line names its setting */
export function coordinationFaults({ roles }: CoordinationOptions): string[] {
  return roles.skills.flatMap((skill, at) =>
    OWN_FEATURES.includes(skill)
      ? [
          `coordination.roles.skills.${at} "${skill}" is a feature of the agent; choose another name`,
        ]
      : [],
  );
}
