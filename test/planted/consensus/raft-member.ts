import type { PlantedBug } from "../bugs.ts";

/** Bugs planted in what runs a member of a Raft group. */
export const raftMemberBugs: readonly PlantedBug[] = [
  {
    name: "raft-member-promise-before-sync",
    about: "votes and acknowledgements leave before the disk was synced",
    file: "consensus/raft-member/log-writer.ts",
    find: "    if (append.responses.length > 0) durable = true;\n",
    replace: "    if (append.responses.length < 0) durable = true;\n",
  },
  {
    name: "raft-member-read-at-once",
    about: "a read does not wait until what was decided before it is applied here",
    file: "consensus/raft-member/read-barrier.ts",
    find: "while ((this.#answered[0]?.index ?? Number.POSITIVE_INFINITY) <= index)",
    replace: "while (this.#answered.length > 0)",
  },
  {
    name: "raft-member-decide-again",
    about: "a value that was proposed again is applied again",
    file: "consensus/raft-member/replicated-state.ts",
    find: "return this.decidedAnew(id) ? this.#machine.apply(value) : undefined;",
    replace:
      "return this.decidedAnew(id) || value.length > 0 ? this.#machine.apply(value) : undefined;",
  },
];
