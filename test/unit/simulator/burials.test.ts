import t from "tap";
import type { KnownRecord } from "../../../src/mesh/records/known-record.ts";
import { Burials } from "../../../src/simulator/checkers/burials.ts";
import { Violations } from "../../../src/simulator/checkers/violation.ts";
import { WitnessingVerifier } from "../../../src/simulator/witnessing-verifier.ts";
import { knownRecord } from "../../support/known-record.ts";

const [ONE, OTHER] = [0, 1];

function record(epoch: number, sequence: number): KnownRecord {
  const bytes = new Uint8Array([epoch, sequence]);
  return knownRecord("p", { agentId: "agent-p", epoch, sequence, bytes });
}

function watching() {
  const violations = new Violations();
  const burials = new Burials(violations);
  for (const by of [ONE, OTHER]) burials.started(by);
  return {
    burials,
    welcome: (by: number) => burials.welcomed(0, by, `agent-${by}`, "p"),
    broken: () => violations.kept.map(({ promise, what }) => `${promise}: ${what}`),
  };
}

t.test(
  "who was buried comes back with a newer record, in a new process, or to somebody else",
  async (t) => {
    const { burials, welcome, broken } = watching();
    burials.showed(ONE, record(1, 4));
    welcome(ONE);
    burials.buried(ONE, "p");
    burials.showed(ONE, record(2, 0));
    welcome(ONE);
    burials.buried(ONE, "p");
    burials.showed(OTHER, record(2, 0));
    welcome(OTHER);
    burials.started(ONE);
    burials.showed(ONE, record(2, 0));
    welcome(ONE);
    t.same(broken(), []);
  },
);

t.test(
  "who was buried does not come back with the same record, nor with an older one",
  async (t) => {
    for (const old of [record(2, 3), record(2, 1), record(1, 9)]) {
      const { burials, welcome, broken } = watching();
      burials.showed(ONE, record(2, 3));
      burials.buried(ONE, "p");
      burials.showed(ONE, old);
      welcome(ONE);
      t.match(broken(), [/^resurrected: agent-0 took in agent-p again,.* 2\.3$/]);
    }
  },
);

t.test(
  "what is shown to a membership is witnessed, known or not; what others verify is not",
  async (t) => {
    const shown: KnownRecord[] = [];
    const [old, fresh] = [record(1, 0), record(1, 1)];
    const verifier = new WitnessingVerifier(
      {
        known: (bytes) => (bytes === old.bytes ? old : undefined),
        verify: (bytes) => (bytes === fresh.bytes ? fresh : "forged-record"),
      },
      (each) => void shown.push(each),
    );
    t.equal(verifier.verify(fresh.bytes), fresh, "an assignment of roles");
    t.equal(verifier.known(old.bytes), old);
    t.equal(verifier.known(fresh.bytes), undefined);
    t.equal(verifier.verify(fresh.bytes), fresh);
    const forged = new Uint8Array(2);
    t.equal(verifier.known(forged), undefined);
    t.equal(verifier.verify(forged), "forged-record");
    t.same(shown, [old, fresh]);
  },
);
