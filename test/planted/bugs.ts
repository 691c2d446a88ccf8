import { learningBugs } from "./learning-bugs.ts";

/** One text in the place of another. */
export interface Edit {
  /** Source below `src/`. */
  readonly file: string;
  /** Text that is there exactly once. */
  readonly find: string;
  readonly replace: string;
}

/** A small fault that is put into the sources as they are loaded, to see whether the simulator finds it. */
export interface PlantedBug extends Edit {
  readonly name: string;
  /** What it does, in words. */
  readonly about: string;
  /** Where the code is careful twice, all of it has to go. */
  readonly also?: readonly Edit[];
  /** Options of `agent-mesh simulate` beside {@link HUNT_OPTIONS}; a later one wins. */
  readonly options?: readonly string[];
}

/** A small world in which much goes wrong, so that seeds are quick. */
export const HUNT_OPTIONS: readonly string[] = [
  "--scenario=everything",
  "--agents=12",
  "--hours=0.25",
  "--intensity=6",
];

/** Bugs of everything but learning; like all planted bugs, none is known to the agents' code. */
export const fleetBugs: readonly PlantedBug[] = [
  {
    name: "acknowledge-before-durable",
    about: "a reading is acknowledged although the disk was not synced",
    file: "outbox/committer.ts",
    find: "durable: blocks.length + letters.length > 0,",
    replace: "durable: false,",
  },
  {
    name: "acknowledge-failed-write",
    about: "a write that failed is taken for one that was made",
    file: "outbox/committer.ts",
    find: "this.#waiting.fail(requests, letters, storeFailed(reason, error));",
    replace: "for (const { settle } of requests.appends) settle?.(undefined, requests.appends[0]);",
  },
  {
    name: "skip-a-sequence",
    about: "every seventh number is left out",
    file: "outbox/numbering.ts",
    find: "entry.sequence = stream.sequence + 1;",
    replace: "entry.sequence = stream.sequence + (stream.sequence % 7 === 6 ? 2 : 1);",
  },
  {
    name: "forget-the-numbering",
    about: "where a stream's numbers stand is not written down",
    file: "outbox/stream-table.ts",
    find: "operations.push(writeStream(stream));",
    replace: "operations.length = 0;",
  },
  {
    name: "forget-to-count-the-newer",
    about: "after a crash, what was written since the books were is not counted",
    file: "outbox/ledger.ts",
    find: "for (const lane of ledger.lanes) await ledger.#countNewer(store, lane, counted);",
    replace:
      "if (counted === 0) for (const lane of ledger.lanes) await ledger.#countNewer(store, lane, counted);",
  },
  {
    name: "reuse-numbers-after-damage",
    about: "after a damage of the disk, numbers are given out that were lost with it",
    file: "outbox/ledger.ts",
    find: "const SEQUENCES_PER_GENERATION = 2 ** 40;",
    replace: "const SEQUENCES_PER_GENERATION = 0;",
    options: ["--scenario=SCENARIOS/damage.yaml"],
  },
  {
    name: "reuse-names-after-damage",
    about: "after a damage of the disk, a new stream gets the id of one whose name was lost",
    file: "outbox/ledger.ts",
    find: "const IDS_PER_GENERATION = 2 ** 20;",
    replace: "const IDS_PER_GENERATION = 0;",
    options: ["--scenario=SCENARIOS/damage.yaml"],
  },
  {
    name: "forget-to-rewind",
    about: "what was on its way when the connection ended is not sent again",
    file: "uplink/carrier.ts",
    find: "    this.#parts.departures.rewind();\n    this.#catchUp?.end();",
    replace: "    this.#catchUp?.end();",
  },
  {
    name: "acknowledge-what-was-sent",
    about: "an update leaves the outbox when it is sent",
    file: "uplink/carrier.ts",
    find: "    uplink.noteSent(update.payload.length);",
    replace:
      "    uplink.noteSent(update.payload.length);\n    this.#parts.departures.acknowledge(update);",
  },
  {
    name: "skip-one-too-many",
    about: "the first update that the receiver lacks is taken for one that it has",
    file: "uplink/catch-up.ts",
    find: "if (sequence <= through) return true;",
    replace: "if (sequence <= through + 1) return true;",
  },
  {
    name: "send-the-newest-first",
    about: "of a batch the last update is sent first",
    file: "uplink/carrier.ts",
    find: "for (const update of updates) {",
    replace: "for (const update of [...updates].reverse()) {",
  },
  {
    name: "never-redial-the-uplink",
    about: "an uplink that could not be reached is not tried again",
    file: "uplink/uplink.ts",
    find: 'clock.setTimer("uplink.retry", retryInMs, () => this.#connect());',
    replace: 'clock.setTimer("uplink.retry", retryInMs, () => undefined);',
  },
  {
    name: "take-what-does-not-fit",
    about: "a reading that the full outbox refuses is acknowledged",
    file: "readings/intake.ts",
    find: "        settle({ code, message });\n        return;",
    replace: "        settle();\n        return;",
    options: ["--scenario=SCENARIOS/small-outbox.yaml"],
  },
  {
    name: "shed-in-silence",
    about: "what the outbox drops for its quota is not told",
    file: "outbox/committer.ts",
    find: "    if (updates === 0) return;\n    this.counters.shed",
    replace: "    if (updates >= 0) return;\n    this.counters.shed",
    options: ["--scenario=SCENARIOS/shedding.yaml"],
  },
  {
    name: "forget-to-count-what-is-queued",
    about: "what is queued is not counted, so that the quota means nothing",
    file: "outbox/lane.ts",
    find: "    this.bytes += block.bytes;",
    replace: "",
    options: ["--scenario=SCENARIOS/shedding.yaml"],
  },
  {
    name: "stay-silent-when-accused",
    about: "an agent that is suspected does not say that it is well",
    file: "mesh/membership/own-record-keeper.ts",
    find: "if (order === 0) this.#soon(turn);",
    replace: "if (order > 0) this.#soon(turn);",
    options: ["--scenario=SCENARIOS/undisturbed.yaml"],
  },
  {
    name: "suspect-in-haste",
    about: "a suspicion ends before anybody can say otherwise",
    file: "mesh/membership/suspicion.ts",
    find: "return Math.max(minMs, maxMs - (maxMs - minMs) * share);",
    replace: "return 0 * share;",
    options: ["--scenario=SCENARIOS/undisturbed.yaml"],
  },
  {
    name: "never-bury",
    about: "a suspicion never ends, so that agents that are gone are not dead",
    file: "mesh/membership/roster.ts",
    find: "} else this.#bury(turn, member);",
    replace: "}",
    options: ["--scenario=SCENARIOS/departures.yaml"],
  },
  {
    name: "forget-the-tombstone",
    about:
      "who is gone is forgotten at once, and taken in again from a table that does not know it yet",
    file: "mesh/membership/options.ts",
    find: "tombstoneMs: 3_600_000,",
    replace: "tombstoneMs: 0,",
  },
  {
    name: "forget-the-epoch",
    about: "a record of an agent that was started again does not replace one of before",
    file: "mesh/records/known-record.ts",
    find: "return a.epoch - b.epoch || a.sequence - b.sequence;",
    replace: "return a.sequence - b.sequence;",
  },
  {
    name: "stay-below-ones-former-self",
    about: "an agent whose disk lost its epoch does not go above the one that others know",
    file: "mesh/membership/own-record-keeper.ts",
    find: "this.#self.raiseAbove(foreign);",
    replace: "this.#self.renew();",
    options: ["--scenario=SCENARIOS/damage.yaml"],
  },
  {
    name: "never-compare-tables",
    about: "what gossip does not bring is not asked for",
    file: "mesh/membership/table-sync.ts",
    find: 'turn.send(peer, { case: "tableDigest", value: { words: this.#table.digest.words() } });',
    replace: "",
    options: ["--scenario=calm", "--hours=0.01"],
  },
  {
    name: "overfill-the-table",
    about: "the table of members has no bound",
    file: "mesh/membership/table.ts",
    find: "return this.#entries.size >= this.membersMax;",
    replace: "return this.#entries.size < 0;",
    options: ["--scenario=SCENARIOS/small-table.yaml", "--agents=24", "--hours=0.1"],
  },
  {
    name: "call-stored-delivered",
    about: "a relay says of what it stored for a guest that it was delivered",
    file: "mesh/relay/guest.ts",
    find: "      progress.storedThrough = update.sequence;",
    replace:
      "      progress.storedThrough = update.sequence;\n      progress.settledThrough = update.sequence;",
    options: ["--scenario=SCENARIOS/relays.yaml"],
  },
  {
    name: "take-the-older-record",
    about: "of two records of one agent the older counts",
    file: "mesh/records/known-record.ts",
    find: "return a.epoch - b.epoch || a.sequence - b.sequence;",
    replace: "return b.epoch - a.epoch || a.sequence - b.sequence;",
  },
  {
    name: "quorum-on-battery",
    about: "an agent that runs on a battery counts as one on mains",
    file: "coordination/roles/suitability.ts",
    find: 'if (capabilities.powerSupply !== PowerSupply.BATTERY) return "none";',
    replace: 'if (capabilities.powerSupply === PowerSupply.BATTERY) return "quorum";',
  },
  {
    name: "keep-ones-own-roles",
    about: "an agent that made an assignment of roles takes nobody else's",
    file: "coordination/roles/mandate.ts",
    find: "if (end === undefined && this.#isPreferred(offer, nowMs)) {",
    replace: "if (end === undefined && !this.isOwn(nowMs) && this.#isPreferred(offer, nowMs)) {",
    options: ["--scenario=SCENARIOS/partitions.yaml"],
  },
  {
    name: "stay-in-saving-mode",
    about: "a mode of the power policy that was entered is never left",
    file: "device/power-policy.ts",
    find: "if (input.monotonicMs - betterSinceMs < policy.dwellMs) {",
    replace: "if (input.monotonicMs - betterSinceMs < 1e12) {",
    options: ["--scenario=SCENARIOS/batteries.yaml", "--hours=1", "--intensity=1"],
  },
];

/** Every planted bug. */
export const plantedBugs: readonly PlantedBug[] = [...fleetBugs, ...learningBugs];
