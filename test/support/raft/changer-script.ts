import {
  type ChangeFault,
  type ChangeResult,
  enterJoint,
  leaveJoint,
  simpleChange,
} from "../../../src/consensus/raft/changer.ts";
import { Tracker } from "../../../src/consensus/raft/tracker.ts";
import { stepsFrom } from "./change-text.ts";
import { configurationText, memberText } from "./describe.ts";
import { type Directive, valuesOf } from "./script.ts";

const FAULTS: Readonly<Record<ChangeFault, string>> = {
  "already-joint": "config is already joint",
  "not-joint": "can't leave a non-joint config",
  joint: "can't apply simple config change in joint config",
  "no-voters": "can't make a zero-voter config joint",
  "removes-all-voters": "removed all voters",
  "several-voters": "more than one voter changed without entering joint config",
  "too-many-members": "too many members",
};

/** Plays a script of changes on one configuration. The last index of the log grows by one with every command. */
export class ChangerScript {
  readonly #tracker = new Tracker({ inflightMessagesMax: 10, inflightBytesMax: 1_000 });
  #lastIndex = 0;

  run(directive: Directive): string {
    const result = this.#result(directive);
    const lastIndex = this.#lastIndex++;
    if (typeof result === "string") return FAULTS[result];
    this.#tracker.become(result, lastIndex);
    const rows = [...this.#tracker.members].map(([id, progress]) => {
      const { mode, match, next, isLearner, isPaused, isActive, isFull } = progress;
      const { pendingSnapshot, inflightCount } = progress;
      const flight = { pendingSnapshot, inflightCount, isFull };
      return `${id}: ${memberText({ mode, match, next, isLearner, isPaused, isActive, ...flight })}`;
    });
    return [configurationText(result), ...rows].join("\n");
  }

  #result(directive: Directive): ChangeResult {
    const { configuration } = this.#tracker;
    const steps = stepsFrom(directive.input.join(" "));
    if (directive.command === "simple") return simpleChange(configuration, steps);
    if (directive.command === "leave-joint") return leaveJoint(configuration);
    const isAutoLeave = valuesOf(directive, "autoleave")[0] === "true";
    return enterJoint(configuration, steps, isAutoLeave);
  }
}
