import type { Clock } from "../../platform/clock.ts";
import type { EventSink } from "../../platform/event-sink.ts";
import type { Hasher } from "../../platform/hasher.ts";
import type { KeyValueStore } from "../../platform/key-value-store.ts";
import type { Logger } from "../../platform/logger.ts";
import type { Random } from "../../platform/random.ts";
import type { PeerId, Signer } from "../../platform/signer.ts";
import type { RoundTimes } from "../rounds/options.ts";
import type { RoundsTalk } from "../rounds/talk.ts";
import type { Statement } from "../tasks/known-task.ts";
import type { TaskBook } from "../tasks/task-book.ts";
import type { TensorExchange } from "../tensors/tensor-exchange.ts";
import type { TensorShelf } from "../tensors/tensor-shelf.ts";
import type { LearningAgent } from "../view.ts";
import type { LearningGround } from "./learning-ground.ts";
import type { ReadingsSource } from "./readings-source.ts";
import type { LearningRoles, RoundsCommittee } from "./round-parts.ts";
import type { Finding } from "./serving-desk.ts";

/** What a desk works with. */
export interface LearningDeskParts {
  readonly signer: Signer;
  readonly hasher: Hasher;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly events: EventSink;
  readonly store: KeyValueStore;
  readonly book: TaskBook;
  readonly shelf: TensorShelf;
  readonly exchange: TensorExchange;
  readonly committee: RoundsCommittee;
  /** What a certified decision of the topic `learning/round` says; undefined for anything else. */
  readonly readDecision: (bytes: Uint8Array) => Uint8Array | undefined;
  readonly openGround: () => Promise<LearningGround>;
  readonly datasets: readonly string[];
  /** Which network this agent trains, of tasks that name several. */
  readonly architecture?: string | undefined;
  /** What this device's sensors say. */
  readonly readings: ReadingsSource;
  /** Where what is found in it goes. Never throws. */
  readonly publish: (finding: Finding) => void;
  readonly times: RoundTimes;
  readonly tell: (to: PeerId, talk: RoundsTalk) => Promise<void>;
  /** Something came about here. */
  readonly announce: (news: Statement) => void;
  readonly nameOf: (peer: PeerId) => LearningAgent;
  /** Who aggregates, and who could train. */
  readonly roles: () => LearningRoles;
  /** To whom there is a link, and that learn too. */
  readonly neighbours: () => readonly PeerId[];
}
