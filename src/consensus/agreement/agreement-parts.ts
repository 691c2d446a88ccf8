import type { Clock } from "../../platform/clock.ts";
import type { Hasher } from "../../platform/hasher.ts";
import type { KeyValueStore } from "../../platform/key-value-store.ts";
import type { Logger } from "../../platform/logger.ts";
import type { Random } from "../../platform/random.ts";
import type { Signer } from "../../platform/signer.ts";
import type { Ordering, OrderingProtocol } from "../ordering/ordering.ts";
import type { StateMachine } from "../ordering/state-machine.ts";
import type { Patience } from "../ordering/waiting.ts";
import type { ChangeGuard } from "./ballot-box.ts";
import { MEMBERS_TOPIC } from "./decision.ts";
import { DEADLINE_MS_MAX, TOPIC_CHARACTERS_MAX, VALUE_BYTES_MAX } from "./limits.ts";
import type { AgreementOptions } from "./options.ts";
import { isTopic } from "./word.ts";

/** What a member's part in the agreement of a group is made of. */
export interface AgreementParts {
  /** 32 hexadecimal digits. */
  readonly group: string;
  readonly protocol: OrderingProtocol;
  /** Opens this member of the group, with the machine that its values are applied to. It is started and stopped from here. */
  readonly ordering: (machine: StateMachine) => Promise<Ordering>;
  readonly signer: Signer;
  /** Own votes are kept under `c/<group>/ballots/`. */
  readonly store: KeyValueStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly hasher: Hasher;
  readonly logger: Logger;
  readonly options: AgreementOptions;
  /** Which changes of members the ordering may carry out, where it bears members that lie; any unless given. */
  readonly mayChange?: ChangeGuard;
}

/** How long a caller waits; as the options say unless told otherwise. */
export type MaybePatience = Partial<Patience>;

/** What is proposed under which terms. */
export interface ProposeOptions extends MaybePatience {
  /** Lower case letters, digits, dots, hyphens and slashes. */
  readonly topic: string;
  /** How long members have to vote. */
  readonly deadlineMs: number;
}

/** How long to wait for what. */
export interface FinalizeOptions extends MaybePatience {
  /** Also wait for the certificate of what was accepted. */
  readonly certified?: boolean;
}

/** @throws RangeError for a topic, a value or a deadline that can not be */
export function checkProposal(value: Uint8Array, topic: string, deadlineMs: number): void {
  if (value.length > VALUE_BYTES_MAX)
    throw new RangeError(`a value has ${VALUE_BYTES_MAX} bytes at most, not ${value.length}`);
  if (!isTopic(topic))
    throw new RangeError(
      `a topic has 1 to ${TOPIC_CHARACTERS_MAX} lower case letters, digits, dots, hyphens and slashes: ${topic}`,
    );
  if (topic === MEMBERS_TOPIC) throw new RangeError("who the members are is not put to the vote");
  if (!Number.isInteger(deadlineMs) || deadlineMs < 1 || deadlineMs > DEADLINE_MS_MAX)
    throw new RangeError(`members have 1 to ${DEADLINE_MS_MAX} ms to vote, not ${deadlineMs}`);
}
