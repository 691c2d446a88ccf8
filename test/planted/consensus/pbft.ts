import type { PlantedBug } from "../bugs.ts";

/** Bugs planted in PBFT. */
export const pbftBugs: readonly PlantedBug[] = [
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
    find: "    const batch = decodeBatch(batchBytes, self.hasher, self.options);\n",
    replace:
      "    const decoded = decodeBatch(batchBytes, self.hasher, self.options);\n    const batch = decoded && { ...decoded, digest: vote.digest };\n",
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
