import type { Agreement } from "../consensus/agreement/agreement.ts";
import { encodeDecision } from "../consensus/agreement/certificate.ts";
import { readRecord } from "../federated/rounds/round-record.ts";
import type { LearningDesk } from "../federated/running/learning-desk.ts";
import type { Signer } from "../platform/signer.ts";

type Seat = Pick<Agreement, "onProposal" | "onDecision" | "onCertificate" | "proposals">;
type Desk = Pick<LearningDesk, "proposed" | "ended" | "withdrawn" | "certified">;

/** Passes on to learning what the committee of this agent's seat has before it, and what it decided. */
export class BeforeCommittee {
  readonly #desk: Desk;
  readonly #signer: Signer;
  readonly #topic: string;
  #agreement: Seat | undefined;
  /** Values of proposals of whose end nobody has heard, by id. */
  #open = new Map<string, Uint8Array>();

  constructor(desk: Desk, signer: Signer, topic: string) {
    this.#desk = desk;
    this.#signer = signer;
    this.#topic = topic;
  }

  /** This agent has another seat: what was before the committee of the last one has ended there, or is told of anew. */
  follow(agreement: Seat): void {
    for (const [id, value] of this.#open) this.#desk.withdrawn(id, value);
    const open = new Map<string, Uint8Array>();
    this.#open = open;
    this.#agreement = agreement;
    agreement.onProposal(({ id, topic, value, proposer }) => {
      if (topic !== this.#topic || open.has(id)) return;
      open.set(id, value);
      this.#desk.proposed(id, value, proposer);
    });
    agreement.onDecision(({ proposalId, topic, value, outcome }) => {
      if (topic !== this.#topic) return;
      open.delete(proposalId);
      this.#desk.ended(proposalId, value, outcome === "accepted");
    });
    agreement.onCertificate(({ topic, value, certificate }) => {
      if (topic !== this.#topic || certificate === undefined) return;
      const record = readRecord(this.#signer, value);
      if (typeof record !== "string")
        this.#desk.certified(record, encodeDecision(this.#signer, { value, certificate }));
    });
  }

  /** Of a decision that came and went with a state of the group nobody hears: to be called now and then. */
  sweep(): void {
    const now = new Set(this.#agreement?.proposals().map(({ id }) => id));
    for (const [id, value] of this.#open) {
      if (now.has(id)) continue;
      this.#open.delete(id);
      this.#desk.withdrawn(id, value);
    }
  }
}
