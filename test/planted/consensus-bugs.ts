import type { Protocol } from "../consensus/protocols.ts";
import type { PlantedBug } from "./bugs.ts";

/** A fault in one of the three protocols. */
export interface ConsensusBug extends PlantedBug {
  readonly protocol: Protocol;
}

const raft: readonly Omit<ConsensusBug, "protocol">[] = [
  {
    name: "raft-vote-before-sync",
    about: "a vote is given before it survives a loss of power",
    file: "consensus/raft/ready.ts",
    find: "const mustSync = entries.length > 0 || state.term !== before.term || state.vote !== before.vote;",
    replace: "const mustSync = entries.length > 0;",
  },
  {
    name: "raft-vote-again-after-restart",
    about: "whom it voted for is not read back",
    file: "consensus/raft/state.ts",
    find: "this.vote = hardState.vote;",
    replace: "this.vote = 0;",
  },
  {
    name: "raft-keep-votes-of-the-last-term",
    about: "votes that were counted in one term count in the next",
    file: "consensus/raft/state.ts",
    find: "    this.tracker.forgetVotes();\n    const { lastIndex }",
    replace: "    const { lastIndex }",
  },
  {
    name: "raft-count-old-term-entries",
    about: "entries of earlier terms are committed by counting (figure 8 of the paper)",
    file: "consensus/raft/reconfigure.ts",
    find: "if (!state.log.tryCommit({ index, term: state.term })) return false;",
    replace: "if (!state.log.tryCommit({ index, term: state.log.term(index) ?? 0 })) return false;",
  },
  {
    name: "raft-single-quorum-in-joint",
    about: "in a joint configuration the new voters commit alone",
    file: "consensus/raft/quorum.ts",
    find: "return Math.min(majorityIndex(voters, indexOf), majorityIndex(outgoing, indexOf));",
    replace: "return majorityIndex(voters.length > 0 ? voters : outgoing, indexOf);",
  },
  {
    name: "raft-single-vote-in-joint",
    about: "in a joint configuration the new voters elect alone",
    file: "consensus/raft/quorum.ts",
    find: "const other = majorityVote(outgoing, voteOf);",
    replace: "const other = one;",
  },
  {
    name: "raft-half-is-enough",
    about: "of an even number of voters half is taken for a majority",
    file: "consensus/raft/quorum.ts",
    find: "return Math.floor(count / 2) + 1;",
    replace: "return Math.ceil(count / 2);",
  },
  {
    name: "raft-count-learners",
    about: "what learners have on disk counts for a commit",
    file: "consensus/raft/tracker.ts",
    find: "return jointIndex(this.#configuration, (id) => this.#members.get(id)?.match);",
    replace:
      "return jointIndex({ voters: [...this.#members.keys()], outgoing: [] }, (id) => this.#members.get(id)?.match);",
  },
  {
    name: "raft-read-without-quorum",
    about: "a leader answers reads without asking whether it still leads",
    file: "consensus/raft/read-index.ts",
    find: "if (isAlone(state) || hasLease(state)) {",
    replace: 'if (state.role === "leader") {',
  },
  {
    name: "raft-read-before-own-entry",
    about: "a new leader answers reads before it knows what is committed",
    file: "consensus/raft/read-index.ts",
    find: "if (state.hasCommittedInTerm) startRead(state, read);",
    replace: 'if (state.role === "leader") startRead(state, read);',
  },
  {
    name: "raft-lease-after-transfer",
    about: "a leader that hands over still relies on its lease",
    file: "consensus/raft/leader.ts",
    find: "  state.isLeaseGivenUp = true;\n",
    replace: "",
  },
  {
    name: "raft-vote-while-leader-alive",
    about: "votes are given while the leader is alive, although leases rely on nobody doing so",
    file: "consensus/raft/step.ts",
    find: "if (state.options.checkQuorum && state.isLeaderAlive && !message.transfer)",
    replace: "if (state.options.checkQuorum && state.term < 0)",
  },
  {
    name: "raft-vote-for-anybody",
    about: "a vote is given whatever the candidate's log lacks",
    file: "consensus/raft/log.ts",
    find: "return other.term > term || (other.term === term && other.index >= index);",
    replace: "return other.term + other.index + term + index >= 0;",
  },
  {
    name: "raft-append-of-an-old-term",
    about: "entries of a leader that was deposed are taken",
    file: "consensus/raft/step.ts",
    find: "if (message.term < state.term) return answerStale(state, message);",
    replace:
      'if (message.term < state.term && message.kind !== "append") return answerStale(state, message);',
  },
  {
    name: "raft-append-behind-anything",
    about: "entries are appended whatever the one before them is",
    file: "consensus/raft/log.ts",
    find: 'if (!this.has(previous)) return "mismatch";',
    replace: 'if (previous.index > this.lastIndex) return "mismatch";',
  },
  {
    name: "raft-commit-what-was-not-compared",
    about: "a follower commits entries that the leader's may differ from",
    file: "consensus/raft/log.ts",
    find: "this.commitTo(Math.min(commit, last));",
    replace: "this.commitTo(Math.min(commit, this.lastIndex));",
  },
  {
    name: "raft-heartbeat-commits-too-much",
    about: "heartbeats tell of commits that the follower may have other entries for",
    file: "consensus/raft/replication.ts",
    find: "const commit = Math.min(progress.match, log.committed);",
    replace: "const commit = log.committed;",
  },
  {
    name: "raft-snapshot-without-configuration",
    about: "who takes a snapshot keeps the members it knew",
    file: "consensus/raft/following.ts",
    find: "  reconfigure(state, snapshot.configuration);\n",
    replace: "",
  },
  {
    name: "raft-lead-after-removal",
    about: "a leader that was removed leads on",
    file: "consensus/raft/reconfigure.ts",
    find: "if (state.options.stepDownOnRemoval) state.becomeFollower(state.term, 0);",
    replace: "",
  },
  {
    name: "raft-change-upon-change",
    about: "a change of members is begun before the last one is applied",
    file: "consensus/raft/leader.ts",
    find: "if (state.pendingChangeIndex > state.log.applied) return false;",
    replace: "",
  },
  {
    name: "raft-campaign-before-change",
    about: "a candidate does not know of a change that is committed",
    file: "consensus/raft/election.ts",
    find: 'if (state.log.hasUnapplied(({ kind }) => isChangeKind(kind))) return "unapplied-change";',
    replace: "",
  },
];

const pbft: readonly Omit<ConsensusBug, "protocol">[] = [
  {
    name: "pbft-prepare-with-one-too-few",
    about: "2f - 1 prepares are enough",
    file: "consensus/pbft/agreement.ts",
    find: "gather(slot.prepares, digest, group.quorum - 1)",
    replace: "gather(slot.prepares, digest, group.quorum - 2)",
  },
  {
    name: "pbft-decide-with-2f",
    about: "2f commits are enough",
    file: "consensus/pbft/agreement.ts",
    find: "gather(slot.commits, digest, group.quorum)",
    replace: "gather(slot.commits, digest, group.quorum - 1)",
  },
  {
    name: "pbft-quorum-of-2f",
    about: "2f replicas are a quorum",
    file: "consensus/pbft/group.ts",
    find: "this.quorum = Math.ceil((count + this.faultyMax + 1) / 2);",
    replace: "this.quorum = Math.ceil((count + this.faultyMax - 1) / 2);",
  },
  {
    name: "pbft-no-null-requests",
    about: "a new view closes the gaps between what was prepared",
    file: "consensus/pbft/view-change.ts",
    find: "digests.push(highest.get(sequence)?.digest ?? nullDigest);",
    replace:
      "digests.push(...[highest.get(sequence)?.digest ?? nullDigest].filter((digest) => digest !== nullDigest));",
  },
  {
    name: "pbft-lowest-view-wins",
    about: "of batches prepared at one place a new view takes the one of the lowest view",
    file: "consensus/pbft/view-change.ts",
    find: "if (known === undefined || known.view < view) highest.set(sequence, certificate);",
    replace: "if (known === undefined || known.view > view) highest.set(sequence, certificate);",
  },
  {
    name: "pbft-forget-what-was-prepared",
    about: "who leaves a view does not tell what was prepared in it",
    file: "consensus/pbft/views.ts",
    find: "const prepared = log.prepared();",
    replace: "const prepared = log.prepared().slice(0, 0);",
  },
  {
    name: "pbft-new-view-of-too-few",
    about: "a new view is taken that fewer than a quorum ask for",
    file: "consensus/pbft/view-changes.ts",
    find: "if (signers.size !== changes.length || signers.size < group.quorum) return undefined;",
    replace: "if (signers.size !== changes.length) return undefined;",
  },
  {
    name: "pbft-view-change-without-proof",
    about: "what a view change claims to be prepared is believed",
    file: "consensus/pbft/view-change.ts",
    find: "return prepared.every((certificate) => isPrepared(certificate, check));",
    replace:
      "return prepared.every((certificate) => certificate.view >= 0 || isPrepared(certificate, check));",
  },
  {
    name: "pbft-execute-out-of-order",
    about: "what is decided is executed although something before it is missing",
    file: "consensus/pbft/executor.ts",
    find: "const sequence = this.#executed + 1;",
    replace:
      "const has = (at: number): number => (this.#parts.log.get(at)?.decidedBatch === undefined ? 0 : 1);\n    const sequence = this.#executed + 1 + (1 - has(this.#executed + 1)) * has(this.#executed + 2);",
  },
  {
    name: "pbft-checkpoint-without-quorum",
    about: "f + 1 checkpoints make a state stable",
    file: "consensus/pbft/checkpoints.ts",
    find: "gather(this.#votes.get(sequence) ?? [], digest, group.quorum)",
    replace: "gather(this.#votes.get(sequence) ?? [], digest, group.weakQuorum)",
  },
  {
    name: "pbft-accept-what-is-executed",
    about: "a proposal for a sequence number that was executed is accepted",
    file: "consensus/pbft/agreement.ts",
    find: "if (this.#log.isInWindow(sequence)) return this.#log.at(sequence);",
    replace: "if (sequence <= this.#log.high) return this.#log.at(sequence);",
  },
  {
    name: "pbft-ignore-the-high-watermark",
    about: "proposals are accepted however far ahead they are",
    file: "consensus/pbft/agreement.ts",
    find: "if (this.#log.isInWindow(sequence)) return this.#log.at(sequence);",
    replace: "if (sequence > this.#log.low) return this.#log.at(sequence);",
  },
  {
    name: "pbft-no-digest-check",
    about: "a batch is taken for the one that the primary signed",
    file: "consensus/pbft/agreement.ts",
    find: '    if (batch?.digest !== vote.digest)\n      turn.refuse(batch === undefined ? "bad-batch" : "wrong-digest");',
    replace: '    if (batch === undefined) turn.refuse("bad-batch");',
  },
  {
    name: "pbft-ignore-client-timestamps",
    about: "a request that was executed before is executed again",
    file: "consensus/pbft/executor.ts",
    find: "const requests = table.fresh(batch.requests);",
    replace: "const requests = table.size >= 0 ? [...batch.requests] : [];",
  },
  {
    name: "pbft-take-forged-requests",
    about: "the primary's word is taken for what clients want",
    file: "consensus/pbft/agreement.ts",
    find: "    return batch.requests.every(\n",
    replace: "    return batch.requests.length >= 0 || batch.requests.every(\n",
  },
  {
    name: "pbft-forget-what-was-accepted",
    about: "what a replica has prepared for is not written down",
    file: "consensus/pbft/slot.ts",
    find: "    turn.put(SLOT_KEYS.accepted(this.sequence), value);\n",
    replace: "    if (value.length === 0) turn.put(SLOT_KEYS.accepted(this.sequence), value);\n",
  },
  {
    name: "pbft-forget-the-view",
    about: "which view a replica has left is not written down",
    file: "consensus/pbft/views.ts",
    find: "    turn.put(KEYS.view, encodeView(view, true));\n",
    replace: "",
  },
];

const tendermint: readonly Omit<ConsensusBug, "protocol">[] = [
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
    name: "tendermint-never-unlock",
    about: "a later polka does not free from a lock",
    file: "consensus/tendermint/round-machine.ts",
    find: "const isFree = state.lockedRound <= validRound || state.lockedValue === valueId;",
    replace: "const isFree = state.lockedValue === null || state.lockedValue === valueId;",
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
    find: 'else if (this.#proposers.of(round) !== proposal.proposer) turn.refuse(from, "wrong-proposer");',
    replace: "",
    also: [
      {
        file: "consensus/tendermint/height-driver.ts",
        find: "if (proposal.proposer !== this.#parts.proposerOf(proposal.round)) return NONE;",
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

/** Every bug planted in a protocol; none is known to the protocols' code. */
export const consensusBugs: readonly ConsensusBug[] = [
  ...raft.map((bug) => ({ ...bug, protocol: "raft" as const })),
  ...pbft.map((bug) => ({ ...bug, protocol: "pbft" as const })),
  ...tendermint.map((bug) => ({ ...bug, protocol: "tendermint" as const })),
];
