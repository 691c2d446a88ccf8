import type { CoordinationOptions } from "./options.ts";
import { LINK_FEATURES, ROLES_FEATURE } from "./roles/suitability.ts";
import { TASKS_FEATURE } from "./tasks/agent-offer.ts";
import { MAINS_NEED } from "./tasks/order.ts";

/** What agents find out of themselves; a skill of that name would be taken for it. */
const OWN_FEATURES: readonly string[] = [
  ROLES_FEATURE,
  TASKS_FEATURE,
  MAINS_NEED,
  ...LINK_FEATURES,
  "browser",
];

/** @returns what each key of `coordination` allows and its meaning does not; every line names its setting */
export function coordinationFaults({ roles, tasks }: CoordinationOptions): string[] {
  const skills = roles.skills.flatMap((skill, at) =>
    OWN_FEATURES.includes(skill)
      ? [
          `coordination.roles.skills.${at} "${skill}" is a feature of the agent; choose another name`,
        ]
      : [],
  );
  const names = tasks.kinds.map(({ name }) => name);
  const kinds = names.flatMap((name, at) =>
    name === "describe" || names.indexOf(name) < at
      ? [`coordination.tasks.kinds.${at}.name "${name}" is there already; choose another name`]
      : [],
  );
  return [...skills, ...kinds];
}
