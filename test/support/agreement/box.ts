import { type Answer, decodeAnswers } from "../../../src/consensus/agreement/answers.ts";
import { statementOf } from "../../../src/consensus/agreement/archive.ts";
import type { Ballot } from "../../../src/consensus/agreement/ballot.ts";
import { BallotBox } from "../../../src/consensus/agreement/ballot-box.ts";
import { signStatement } from "../../../src/consensus/agreement/certificate.ts";
import type { Decision } from "../../../src/consensus/agreement/decision.ts";
import { encodeEntry, type Item } from "../../../src/consensus/agreement/entry.ts";
import { signWord, type WordBody } from "../../../src/consensus/agreement/word.ts";
import type { OrderingProtocol } from "../../../src/consensus/ordering/ordering.ts";
import { nodeHasher } from "../../../src/platform/node/hasher.ts";
import type { PeerId, Signer } from "../../../src/platform/signer.ts";
import { VirtualKeys } from "../../../src/simulator/virtual-signer.ts";

export const GROUP = "0f0e0d0c0b0a09080706050403020100";

/** @returns a proposal id of one digit's making */
export function idOf(number: number): string {
  return number.toString(16).padStart(32, "0");
}

/** A ballot box with members that say what they are told to. */
export class BoxUnderTest {
  readonly keys: VirtualKeys;
  readonly protocol: OrderingProtocol;
  readonly box: BallotBox;
  readonly opened: Ballot[] = [];
  readonly closed: Decision[] = [];
  readonly certified: Decision[] = [];
  restored = 0;

  constructor(protocol: OrderingProtocol, members: string, keys = new VirtualKeys()) {
    this.keys = keys;
    this.protocol = protocol;
    this.box = new BallotBox({
      group: GROUP,
      protocol,
      verifier: this.signer("verifier"),
      hasher: nodeHasher,
      observer: {
        opened: (ballot) => this.opened.push(ballot),
        closed: (decision) => this.closed.push(decision),
        certified: (decision) => this.certified.push(decision),
        restored: () => void this.restored++,
      },
    });
    if (members !== "") this.members(members);
  }

  signer(name: string): Signer {
    return this.keys.signer(name);
  }

  peer(name: string): PeerId {
    return this.signer(name).peerId;
  }

  /** @param names a letter each */
  members(names: string): void {
    this.box.members(Array.from(names, (name) => this.peer(name)).sort());
  }

  word(by: string, id: string, body: WordBody, group = GROUP): Item {
    return { kind: "word", signed: signWord(this.signer(by), group, id, body).signed };
  }

  proposal(
    by: string,
    id: string,
    {
      value = "value",
      topic = "notes",
      after = 0,
    }: { value?: string; topic?: string; after?: number } = {},
  ): Item {
    const bytes = new TextEncoder().encode(value);
    return this.word(by, id, {
      kind: "propose",
      topic,
      value: bytes,
      expiresAfterMs: 1_000,
      after,
    });
  }

  ballotVote(
    by: string,
    id: string,
    choice: "accept" | "reject",
    value = "value",
    reason = "",
  ): Item {
    return this.word(by, id, { kind: "vote", digest: nodeHasher.sha256Hex(value), choice, reason });
  }

  voucher(by: string, id: string): Item {
    const decision = this.box.archive.get(id)?.decision;
    if (decision === undefined) throw new Error(`${id} is not decided`);
    const signature = signStatement(this.signer(by), statementOf(decision));
    return { kind: "voucher", voucher: { proposalId: id, ...signature } };
  }

  entry(...items: readonly Item[]): Uint8Array {
    return encodeEntry(this.signer("verifier"), items);
  }

  /** Puts all into one entry. */
  put(...items: readonly Item[]): readonly Answer[] {
    return decodeAnswers(this.box.apply(this.entry(...items)));
  }

  /** Opens a proposal and votes on it. @param votes a letter each */
  decide(id: string, by: string, accepting: string): void {
    this.put(this.proposal(by, id, { after: this.box.archive.decided }));
    for (const name of accepting) this.put(this.ballotVote(name, id, "accept"));
  }
}
