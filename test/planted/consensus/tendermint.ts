import type { PlantedBug } from "../bugs.ts";

/** Bugs planted in Tendermint. */
export const tendermintBugs: readonly PlantedBug[] = [
  {
    name: "tendermint-drop-lock",
    about: "a validator prevotes for whatever is proposed, locked or not",
    file: "consensus/tendermint/round-machine.ts",
    find: "const isFree = state.lockedRound <= validRound || state.lockedValue === valueId;",
    replace: "const isFree = state.lockedRound <= validRound || valueId.length > 0;",
  },
  {
    name: "tendermint-unlock-by-an-older-polka",
    about: "a polka of before the lock frees from it",
    file: "consensus/tendermint/round-machine.ts",
    find: "const isFree = state.lockedRound <= validRound || state.lockedValue === valueId;",
    replace: "const isFree = state.lockedRound <= validRound + 2 || state.lockedValue === valueId;",
  },
  {
    name: "tendermint-forget-the-lock",
    about: "a precommit does not lock",
    file: "consensus/tendermint/round-machine.ts",
    find: 'return vote({ ...valid, lockedValue: valueId, lockedRound: state.round }, "precommit", valueId);',
    replace: 'return vote(valid, "precommit", valueId);',
  },
  {
    name: "tendermint-precommit-without-polka",
    about: "prevotes for other values count for a polka",
    file: "consensus/tendermint/vote-keeper.ts",
    find: "if (this.#validators.isQuorum(count.weightOf(valueId))) {",
    replace: "if (this.#validators.isQuorum(count.weight)) {",
  },
  {
    name: "tendermint-exactly-two-thirds",
    about: "2/3 of the power are enough, not more than that",
    file: "consensus/tendermint/validators.ts",
    find: "return 3 * power > 2 * this.totalPower;",
    replace: "return 3 * power >= 2 * this.totalPower;",
  },
  {
    name: "tendermint-majority-is-enough",
    about: "half of the power is a quorum",
    file: "consensus/tendermint/validators.ts",
    find: "return 3 * power > 2 * this.totalPower;",
    replace: "return 2 * power > this.totalPower;",
  },
  {
    name: "tendermint-any-old-polka",
    about: "a proposal's earlier polka may have been for another value",
    file: "consensus/tendermint/height-driver.ts",
    find: 'return keeper.hasQuorum(validRound, "prevote", valueId)\n        ? this.#call({ kind: "proposal-with-earlier-polka"',
    replace:
      'return keeper.hasQuorumOfAny(validRound, "prevote")\n        ? this.#call({ kind: "proposal-with-earlier-polka"',
  },
  {
    name: "tendermint-any-proposer",
    about: "whoever proposes is listened to",
    file: "consensus/tendermint/height.ts",
    find: "proposers.of(round) !== proposal.proposer)",
    replace: "proposers.of(round) === undefined)",
    also: [
      {
        file: "consensus/tendermint/height-driver.ts",
        find: "    if (proposal.proposer !== this.#parts.proposerOf(proposal.round)) return NONE;",
        replace: "",
      },
    ],
  },
  {
    name: "tendermint-log-not-read",
    about: "a node that restarts begins at the first height, with nothing said",
    file: "consensus/tendermint/tendermint.ts",
    find: "this.#recovered = recover(log, options.decisionsKeptMax);",
    replace: "this.#recovered = recover([...log].slice(0, 0), options.decisionsKeptMax);",
  },
  {
    name: "tendermint-vote-not-written",
    about: "a vote is sent that is not in the log",
    file: "consensus/tendermint/speech.ts",
    find: 'if (said.isNew) turn.persist.push({ kind: "vote", vote: said.word });',
    replace: "",
  },
  {
    name: "tendermint-lock-not-recovered",
    about: "a node that restarts is not bound by what it was locked on",
    file: "consensus/tendermint/wal.ts",
    find: "  const lock = lockOf(votes);\n  const lockedRound",
    replace: "  const lock = lockOf(votes.slice(0, 0));\n  const lockedRound",
  },
  {
    name: "tendermint-vote-counts-twice",
    about: "the same vote weighs again when it comes again",
    file: "consensus/tendermint/vote-count.ts",
    find: '      return "known";\n',
    replace:
      '    {\n      this.#weight += power;\n      this.#weigh(vote.valueId, power);\n      return "known";\n    }\n',
    also: [
      {
        file: "consensus/tendermint/vote-count.ts",
        find: "      ballots !== undefined &&\n      (ballots",
        replace: "      ballots !== undefined && vote.round < 0 &&\n      (ballots",
      },
    ],
  },
  {
    name: "tendermint-one-signer-often",
    about: "a certificate may hold the same signature several times",
    file: "consensus/tendermint/certificate.ts",
    find: 'if (signers.has(validator)) return "repeated-signer";',
    replace: "",
  },
  {
    name: "tendermint-decision-without-proof",
    about: "a decision of others is believed",
    file: "consensus/tendermint/height.ts",
    find: "    if (!this.#isProven(certificate)) {\n",
    replace: "    if (certificate.height < 0) {\n",
  },
  {
    name: "tendermint-verdict-ignored",
    about: "a value is voted for that the host holds to be invalid",
    file: "consensus/tendermint/height.ts",
    find: 'this.#own.push({ kind: "proposal", proposal, isValid });',
    replace: 'this.#own.push({ kind: "proposal", proposal, isValid: true });',
  },
];
