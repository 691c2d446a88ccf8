import type { PeerId } from "../../platform/signer.ts";
import { type Certificate, certificateOf, faultOfCertificate, votesOf } from "./certificate.ts";
import type { Decision } from "./effects.ts";
import type { Evidence } from "./evidence.ts";
import { type DriverInput, type DriverResult, HeightDriver } from "./height-driver.ts";
import type { HeightParts, ReceivedVotes } from "./height-parts.ts";
import type { DecisionMessage, PartMessage, ProposalMessage } from "./messages.ts";
import { type Part, valueIdOf } from "./parts.ts";
import { ProposalDesk } from "./proposal-desk.ts";
import type { ProposerRotation } from "./proposer-rotation.ts";
import { Proposers } from "./proposers.ts";
import type { RoundOutput, RoundState, TimeoutKind } from "./round-machine.ts";
import { Speech } from "./speech.ts";
import type { Turn } from "./turn.ts";
import { ValueStore } from "./value-store.ts";
import { NO_ROUND, type SignedProposal, type SignedVote, type ValueId } from "./vote.ts";
import { Waits } from "./waits.ts";
import { type DecisionEntry, lastRoundOf, type Recovered, stateAfter } from "./wal.ts";

/**
 * One height, from its first round to its decision: takes messages that are well-formed and of this height, has them
 * signed and checked, joins proposals to their values, and turns what the driver says into effects.
 */
export class Height {
  readonly number: number;
  readonly rotation: ProposerRotation;
  readonly proposers: Proposers;
  readonly #parts: HeightParts;
  readonly #driver: HeightDriver<SignedVote>;
  readonly #speech: Speech;
  readonly #values: ValueStore;
  readonly #desk = new ProposalDesk();
  readonly #waits: Waits;
  readonly #mayVote: boolean;
  /** Own words that the driver has not heard yet. */
  readonly #own: DriverInput<SignedVote>[] = [];
  /** A decision whose value is not here yet. */
  #awaited: Certificate | undefined;
  #decision: Decision | undefined;
  #rebroadcasts = 0;

  /** @param isMute nothing is voted and proposed here, whoever this node is */
  constructor(parts: HeightParts, height: number, rotation: ProposerRotation, isMute: boolean) {
    const { signer, hasher, options } = parts;
    this.#parts = parts;
    this.#mayVote = !isMute && rotation.validators.has(signer.peerId);
    this.number = height;
    this.rotation = rotation;
    this.proposers = new Proposers(rotation);
    this.#waits = new Waits(options, height);
    this.#values = new ValueStore(hasher, options.valuesMax);
    this.#driver = new HeightDriver({
      self: signer.peerId,
      height,
      validators: rotation.validators,
      proposerOf: (round) => this.proposers.of(round),
      roundsAheadMax: options.roundsAheadMax,
    });
    this.#speech = new Speech(parts, this.#driver, this.#values, this.#desk);
  }

  get state(): RoundState {
    return this.#driver.state;
  }

  get decision(): Decision | undefined {
    return this.#decision;
  }

  /** Begins, with votes that came before. */
  start(turn: Turn, received: readonly ReceivedVotes[]): void {
    const isTrue = (from: PeerId) => (vote: SignedVote) => this.#isTrue(turn, from, vote);
    const votes = received.flatMap(({ from, votes }) => votes.filter(isTrue(from)));
    this.#run(turn, { kind: "start", votes, certificates: [], proposals: [] });
    this.#waits.forRebroadcast(turn);
  }

  /** It was decided before a restart; the host may not have taken it to heart. */
  conclude(turn: Turn, { certificate, value }: DecisionEntry): void {
    this.#conclude(turn, certificate, value);
    this.#waits.forRebroadcast(turn);
  }

  /** Goes on after a restart. */
  resume(turn: Turn, recovered: Recovered): void {
    const { votes, proposals, values, polka, entrance } = recovered;
    this.#speech.remember(recovered);
    for (const value of values.values())
      this.#values.put(value, this.#parts.options.partBytes, this.#kept());
    const round = lastRoundOf(recovered);
    if (round === NO_ROUND) {
      this.start(turn, []);
      return;
    }
    this.#driver.resume(stateAfter(recovered, round));
    if (this.#driver.state.step === "propose") this.#waits.forProposal(turn, round);
    for (const proposal of proposals) this.#desk.add(proposal, true);
    if (polka !== undefined) this.#own.push({ kind: "certificate", votes: votesOf(polka) });
    for (const vote of [...votes, ...entrance]) this.#own.push({ kind: "vote", vote });
    for (const valueId of values.keys()) this.#handOn(valueId);
    this.#run(turn, this.#driver.next());
    if (this.#decision === undefined) this.#speech.repeat(turn);
    this.#waits.forRebroadcast(turn);
  }

  proposal(turn: Turn, from: PeerId, message: ProposalMessage): void {
    const { proposal, manifest, value, polka } = message;
    const { round, valueId } = proposal;
    const { options, hasher, verifier } = this.#parts;
    const current = this.#driver.state.round;
    if (!this.rotation.validators.has(proposal.proposer)) turn.refuse(from, "not-a-validator");
    else if (round > current + options.proposalRoundsAheadMax) turn.refuse(from, "far-round");
    else if (round < current - options.roundsBehindMax) turn.refuse(from, "old-round");
    else if (this.proposers.of(round) !== proposal.proposer) turn.refuse(from, "wrong-proposer");
    else if (this.#desk.has(proposal) === "duplicate") turn.refuse(from, "duplicate");
    else if (this.#desk.has(proposal) === "surplus" && !this.#isWanted(proposal))
      turn.refuse(from, "too-many");
    else if (!verifier.isSignedProposal(proposal)) turn.refuse(from, "bad-signature");
    else if (valueIdOf(manifest, hasher) !== valueId) turn.refuse(from, "bad-manifest");
    else {
      const outcome = this.#desk.add(proposal, this.#isWanted(proposal));
      if (outcome.kind === "contradicting")
        this.#accuse(turn, { kind: "proposals", first: outcome.first, second: proposal });
      if (polka !== undefined) this.#earlierPolka(turn, from, proposal, polka);
      this.#values.expect(valueId, manifest, this.#kept());
      if (value !== undefined && !this.#values.addWhole(valueId, value))
        turn.refuse(from, "bad-part");
      this.#settle(turn, valueId);
    }
  }

  part(turn: Turn, from: PeerId, { valueId, part }: PartMessage): void {
    const outcome = this.#values.add(valueId, part);
    if (outcome === "complete") this.#settle(turn, valueId);
    else if (outcome !== "taken")
      turn.refuse(from, outcome === "unwanted" ? "unwanted-part" : outcome);
  }

  /** Others saw more than 2/3 where this node saw what liars told it. */
  polka(turn: Turn, from: PeerId, certificate: Certificate): void {
    const { round, valueId } = certificate;
    const { options } = this.#parts;
    const current = this.#driver.state.round;
    if (round > current + options.proposalRoundsAheadMax) turn.refuse(from, "far-round");
    else if (round < current - options.roundsBehindMax) turn.refuse(from, "old-round");
    else if (this.#driver.keeper.hasQuorum(round, "prevote", valueId))
      turn.refuse(from, "duplicate");
    else this.#takePolka(turn, from, certificate);
  }

  /** The rest of a message counts no more once one of its signatures is wrong. */
  votes(turn: Turn, from: PeerId, votes: readonly SignedVote[]): void {
    const { keeper } = this.#driver;
    let isNews = false;
    let isOld = false;
    for (const vote of votes) {
      if (vote.round < this.#driver.state.round - this.#parts.options.roundsBehindMax) {
        isOld = true;
        continue;
      }
      if (keeper.count(vote.round, vote.kind)?.isSettled(vote) === true) continue;
      isNews = true;
      if (!this.#isTrue(turn, from, vote)) return;
      if (this.#run(turn, { kind: "vote", vote }) === "surplus") turn.refuse(from, "too-many");
      if (this.#decision !== undefined) return;
    }
    if (!isNews) turn.refuse(from, isOld ? "old-round" : "duplicate");
  }

  /** Others have decided: the certificate is enough, and the value belongs to it. */
  decided(turn: Turn, from: PeerId, { certificate, manifest, value }: DecisionMessage): void {
    const { valueId } = certificate;
    if (valueIdOf(manifest, this.#parts.hasher) !== valueId) {
      turn.refuse(from, "bad-manifest");
      return;
    }
    if (!this.#isProven(certificate)) {
      turn.refuse(from, "bad-certificate");
      return;
    }
    this.#awaited = certificate;
    this.#values.expect(valueId, manifest, this.#kept());
    if (value !== undefined && !this.#values.addWhole(valueId, value))
      turn.refuse(from, "bad-part");
    this.#settle(turn, valueId);
    if (this.#decision === undefined) this.#askForParts(turn, from);
  }

  /** A value of the host's. Too late, it is of no use. @throws RangeError when it is larger than a value may be */
  ownValue(turn: Turn, round: number, value: Uint8Array): void {
    const { options } = this.#parts;
    const { valueBytesMax } = options;
    if (value.length > valueBytesMax)
      throw new RangeError(`a value has at most ${valueBytesMax} bytes, not ${value.length}`);
    const { state } = this.#driver;
    if (state.round !== round || state.step !== "propose" || this.#speech.hasProposed) return;
    if (this.proposers.of(round) !== this.#self) return;
    const valueId = this.#values.put(value, options.partBytes, this.#kept());
    this.#run(turn, { kind: "own-value", valueId });
  }

  verdict(turn: Turn, valueId: ValueId, isValid: boolean): void {
    if (this.#values.judge(valueId, isValid)) this.#settle(turn, valueId);
  }

  timeout(turn: Turn, timeout: TimeoutKind, round: number): void {
    if (round === this.#driver.state.round) this.#run(turn, { kind: "timeout", timeout });
  }

  /** Says again what others may have missed, and asks for what is missing here. */
  rebroadcast(turn: Turn): void {
    this.#waits.forRebroadcast(turn);
    if (this.#decision !== undefined) return;
    this.#speech.repeat(turn);
    if (this.#awaited !== undefined) turn.toAll({ kind: "ask", height: this.number });
    const peer = this.#nextPeer();
    if (peer !== undefined) this.#askForParts(turn, peer);
  }

  /** @returns none of a value that is not here as a whole */
  valueParts(valueId: ValueId, indexes: readonly number[]): readonly Part[] {
    return this.#values.parts(valueId, indexes);
  }

  get #self(): PeerId {
    return this.#parts.signer.peerId;
  }

  /** Another validator, each in its turn. */
  #nextPeer(): PeerId | undefined {
    const others = this.rotation.validators.all.filter(({ id }) => id !== this.#self);
    return others[this.#rebroadcasts++ % Math.max(1, others.length)]?.id;
  }

  /** @returns what became of the input, when it was a vote */
  #run(
    turn: Turn,
    input: DriverInput<SignedVote> | undefined,
  ): DriverResult<SignedVote>["outcome"] {
    let next = input ?? this.#own.shift();
    let first: DriverResult<SignedVote> | undefined;
    while (next !== undefined && this.#decision === undefined) {
      const { round } = this.#driver.state;
      const result = this.#driver.step(next);
      first ??= result;
      for (const [one, other] of result.contradictions ?? [])
        this.#accuse(turn, { kind: "votes", first: one, second: other });
      if (this.#driver.state.round !== round) this.#enterRound(turn);
      this.#speech.writeValid(turn);
      this.#perform(turn, result.output);
      next = this.#driver.next() ?? this.#own.shift();
    }
    return first?.outcome;
  }

  #perform(turn: Turn, output: RoundOutput): void {
    switch (output.kind) {
      case "none":
      case "refused":
      case "skipped":
        break;
      case "timer":
        if (output.timeout === "propose") this.#waits.forProposal(turn, output.round);
        else this.#waits.forStep(turn, output.timeout, output.round);
        break;
      case "value-wanted": {
        const { height, round } = output;
        this.#waits.forProposal(turn, round);
        turn.requests.push({ kind: "value", height, round });
        break;
      }
      case "proposal":
        this.#waits.forProposal(turn, output.round);
        this.#propose(turn, output);
        break;
      case "vote":
        this.#vote(turn, output);
        break;
      case "decided":
        this.#decideByVotes(turn, output.round, output.valueId);
        break;
    }
  }

  #propose(turn: Turn, output: Extract<RoundOutput, { kind: "proposal" }>): void {
    const word = this.#mayVote ? this.#speech.propose(turn, output) : undefined;
    if (word === undefined) return;
    this.#desk.add(word, true);
    this.#handOn(word.valueId);
  }

  #vote(turn: Turn, output: Extract<RoundOutput, { kind: "vote" }>): void {
    const vote = this.#mayVote ? this.#speech.vote(turn, output) : undefined;
    if (vote !== undefined) this.#own.push({ kind: "vote", vote });
  }

  #isWanted({ round, valueId }: SignedProposal): boolean {
    return this.#driver.keeper.hasQuorum(round, "prevote", valueId);
  }

  #earlierPolka(turn: Turn, from: PeerId, proposal: SignedProposal, polka: Certificate): void {
    const { validRound, valueId } = proposal;
    if (this.#driver.keeper.hasQuorum(validRound, "prevote", valueId)) return;
    const isAbout =
      polka.kind === "prevote" &&
      polka.height === this.number &&
      polka.round === validRound &&
      polka.valueId === valueId;
    // However old it is: a lock may be as old.
    if (isAbout) this.#takePolka(turn, from, polka);
    else turn.refuse(from, "bad-certificate");
  }

  #takePolka(turn: Turn, from: PeerId, certificate: Certificate): void {
    if (this.#isProven(certificate))
      this.#run(turn, { kind: "certificate", votes: votesOf(certificate) });
    else turn.refuse(from, "bad-certificate");
  }

  /** What can be done now that more is known of a value. */
  #settle(turn: Turn, valueId: ValueId): void {
    const known = this.#values.get(valueId);
    if (known === undefined || this.#decision !== undefined) return;
    if (this.#awaited?.valueId === valueId) {
      this.#decide(turn, this.#awaited, known.value);
      return;
    }
    if (this.#values.isToBeAsked(valueId))
      turn.requests.push({ kind: "verdict", height: this.number, valueId, value: known.value });
    if (known.isValid === undefined) return;
    this.#handOn(valueId);
    this.#run(turn, undefined);
  }

  #handOn(valueId: ValueId): void {
    const isValid = this.#values.get(valueId)?.isValid;
    if (isValid === undefined) return;
    for (const proposal of this.#desk.take(valueId))
      this.#own.push({ kind: "proposal", proposal, isValid });
  }

  #decideByVotes(turn: Turn, round: number, valueId: ValueId): void {
    const votes = this.#driver.keeper.certificate(round, "precommit", valueId);
    if (votes === undefined) return;
    const certificate = certificateOf(votes);
    const known = this.#values.get(valueId);
    if (known !== undefined) this.#decide(turn, certificate, known.value);
    // It gave way to others since its round: whoever has decided still has it.
    else this.#awaited = certificate;
  }

  #decide(turn: Turn, certificate: Certificate, value: Uint8Array): void {
    turn.persist.push({ kind: "decision", certificate, value });
    this.#conclude(turn, certificate, value);
  }

  #conclude(turn: Turn, certificate: Certificate, value: Uint8Array): void {
    const { round, valueId } = certificate;
    this.#decision = { height: this.number, round, valueId, value, certificate };
    turn.decide.push(this.#decision);
  }

  #askForParts(turn: Turn, peer: PeerId): void {
    for (const parts of this.#values.incomplete())
      turn.to(peer, { kind: "ask", height: this.number, parts });
  }

  #isProven(certificate: Certificate): boolean {
    const { validators } = this.rotation;
    return faultOfCertificate(certificate, validators, this.#parts.verifier) === undefined;
  }

  #isTrue(turn: Turn, from: PeerId, vote: SignedVote): boolean {
    if (!this.rotation.validators.has(vote.validator)) turn.refuse(from, "not-a-validator");
    else if (!this.#parts.verifier.isSignedVote(vote)) turn.refuse(from, "bad-signature");
    else return true;
    return false;
  }

  #accuse(turn: Turn, evidence: Evidence): void {
    if (this.#parts.evidence.add(evidence)) turn.evidence.push(evidence);
  }

  /** Values that must not give way to others. */
  #kept(): ReadonlySet<ValueId> {
    const { round, lockedValue, validValue } = this.#driver.state;
    const kept = new Set<ValueId>();
    for (const valueId of [lockedValue, validValue, this.#awaited?.valueId])
      if (typeof valueId === "string") kept.add(valueId);
    for (const { valueId } of this.#driver.proposals(round)) kept.add(valueId);
    return kept;
  }

  #enterRound(turn: Turn): void {
    this.#speech.writeEntrance(turn);
    const round = this.#driver.state.round - this.#parts.options.roundsBehindMax;
    this.#driver.forgetBefore(round);
    this.#desk.forgetBefore(round);
  }
}
