import type { PeerId, Signer } from "../../platform/signer.ts";
import type { Agreement } from "../agreement/agreement.ts";
import { encodeDecision } from "../agreement/certificate.ts";
import type { Decision } from "../agreement/decision.ts";
import type { MembersStep, OrderingStatus } from "../ordering/ordering.ts";
import type { MemberStep } from "../ordering/state-machine.ts";
import { AgreementError } from "../ordering/waiting.ts";
import type { Seat, SeatListener } from "./seat.ts";
import { decodeStep, encodeStep, STEP_TOPIC } from "./step-codec.ts";

/** How long members may take to vote on a change of members. */
const STEP_DEADLINE_MS = 20_000;
const CHANGE_TIMEOUT_MS = 60_000;
/** Decisions among which one that was not carried out is looked for. */
const LOOKED_BACK_MAX = 1_024;

/** A seat in a committee whose members agree by ballots. */
export class AgreementSeat implements Seat {
  readonly agreement: Agreement;
  readonly #signer: Signer;
  /** The last change of members that was accepted. */
  #accepted: { readonly step: MemberStep; readonly epoch: number } | undefined;

  /** The agreement has not been started. */
  constructor(agreement: Agreement, signer: Signer, listener: SeatListener) {
    this.agreement = agreement;
    this.#signer = signer;
    for (const decision of agreement.decisions(0, LOOKED_BACK_MAX)) this.#heard(decision);
    agreement.judge(STEP_TOPIC, (value) => {
      const step = decodeStep(signer, value);
      const fault = step === undefined ? "it is no change" : listener.faultOf(step, this.status());
      return fault === undefined ? "accept" : { reject: fault };
    });
    agreement.onDecision((decision) => {
      this.#heard(decision);
      listener.changed();
    });
    agreement.onCertificate(() => listener.changed());
  }

  status(): OrderingStatus {
    return this.agreement.ordering.status();
  }

  changes(after: number): readonly Uint8Array[] {
    const found: Uint8Array[] = [];
    for (const decision of this.agreement.memberChanges(after + 1)) {
      // One without its certificate lies between.
      if (decision.certificate.epoch !== after + 1 + found.length) break;
      found.push(encodeDecision(this.#signer, decision));
    }
    return found;
  }

  pending(): MemberStep | undefined {
    const accepted = this.#accepted;
    return accepted?.epoch === this.agreement.members().epoch ? accepted.step : undefined;
  }

  async decide(step: MemberStep): Promise<void> {
    const value = encodeStep(this.#signer, step);
    const options = { topic: STEP_TOPIC, deadlineMs: STEP_DEADLINE_MS };
    const { id } = await this.agreement.propose(value, options);
    const { outcome, reasons } = await this.agreement.finalize(id, {
      timeoutMs: 2 * STEP_DEADLINE_MS,
    });
    if (outcome !== "accepted")
      throw new AgreementError("consensus.refused", [outcome, ...reasons].join(": "));
  }

  ticket(peer: PeerId): Uint8Array {
    return this.agreement.ordering.ticket(peer);
  }

  async carryOut({ kind, peer }: MemberStep, ticket: Uint8Array | undefined): Promise<void> {
    const step: MembersStep =
      kind === "add" ? { kind, peer, ticket: ticket ?? new Uint8Array() } : { kind, peer };
    const { ordering } = this.agreement;
    // Another member may have carried it out already.
    await ordering.read({ timeoutMs: CHANGE_TIMEOUT_MS });
    await ordering.change(step, { timeoutMs: CHANGE_TIMEOUT_MS });
  }

  async propose(topic: string, value: Uint8Array, expiresAfterMs: number): Promise<string> {
    const options = { topic, deadlineMs: expiresAfterMs };
    return (await this.agreement.propose(value, options)).id;
  }

  decision(proposalId: string): Uint8Array | undefined {
    // Only what is kept can be told.
    const decision = this.agreement.decision(proposalId);
    if (decision?.certificate === undefined) return undefined;
    const { value, certificate } = decision;
    return encodeDecision(this.#signer, { value, certificate });
  }

  stop(): Promise<void> {
    return this.agreement.stop();
  }

  #heard({ topic, outcome, value, epoch }: Decision): void {
    if (topic !== STEP_TOPIC || outcome !== "accepted") return;
    const step = decodeStep(this.#signer, value);
    if (step !== undefined) this.#accepted = { step, epoch };
  }
}
