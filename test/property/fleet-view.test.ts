import * as fc from "fast-check";
import t from "tap";
import { confidenceOf, evidenceAgeMs } from "../../src/mesh/fleet/confidence.ts";
import { FleetSample, placeOf, SAMPLE_MAX } from "../../src/mesh/membership/fleet-sample.ts";
import type { MemberState } from "../../src/mesh/membership/member.ts";
import type { KnownRecord } from "../../src/mesh/records/known-record.ts";
import { signRecord } from "../../src/mesh/records/record-codec.ts";
import { CachingVerifier } from "../../src/mesh/records/record-verifier.ts";
import { Answerer } from "../../src/mesh/survey/answerer.ts";
import {
  ANSWER_RECORDS_MAX,
  ANSWERS_BURST,
  FILTER_BYTES_MAX,
  FLEET_MESSAGE_BYTES_MAX,
} from "../../src/mesh/survey/bounds.ts";
import { decodeAnswer, decodeRequest, encodeRequest } from "../../src/mesh/survey/codec.ts";
import { KnownFilter } from "../../src/mesh/survey/known-filter.ts";
import { Survey } from "../../src/mesh/survey/survey.ts";
import { Refused } from "../../src/platform/network.ts";
import { SeededRandom } from "../../src/platform/seeded-random.ts";
import { VirtualKeys } from "../../src/simulator/virtual-signer.ts";
import { knownRecord } from "../support/known-record.ts";

const seed = Number(process.env["FC_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
t.comment(`fast-check seed ${seed} (FC_SEED=${seed} repeats it)`);
fc.configureGlobal({ seed, numRuns: Number(process.env["FC_RUNS"] ?? 100) });

const state = fc.constantFrom<MemberState>("alive", "suspect", "dead", "left");
const ageMs = fc.nat({ max: 10_000_000 });
const refreshMs = fc.integer({ min: 1_000, max: 3_000_000 });

t.test("confidence is bounded, never grows with age, and is more for who is linked", async () => {
  fc.assert(
    fc.property(state, ageMs, ageMs, refreshMs, (state, a, b, refreshMs) => {
      const of = (linked: boolean, ageMs: number): number =>
        confidenceOf({ state, linked, ageMs, refreshMs });
      const [young, old] = [Math.min(a, b), Math.max(a, b)];
      for (const linked of [true, false]) {
        const value = of(linked, old);
        if (value < 0 || value > 1 || value > of(linked, young)) return false;
      }
      // Next to nothing, after a thousand refreshes, there is no smaller number.
      return of(true, a) > of(false, a) || of(true, a) < Number.MIN_VALUE * 2 ** 4;
    }),
  );
});

t.test("who is gone is judged by when that was found", async (t) => {
  t.equal(evidenceAgeMs("alive", 5, 70), 5);
  t.equal(evidenceAgeMs("suspect", 5, 70), 5);
  t.equal(evidenceAgeMs("dead", 500, 70), 70);
  t.equal(evidenceAgeMs("left", 500, 70), 70);
  const at = { linked: true, ageMs: 0, refreshMs: 1_000 };
  t.equal(confidenceOf({ ...at, state: "alive" }), 1);
  t.equal(confidenceOf({ ...at, state: "alive", ageMs: 1_000 }), 0.5, "one refresh halves it");
});

const random = new SeededRandom(`fleet-view/${seed}`);
const crowd = (size: number, name: string): KnownRecord[] =>
  Array.from({ length: size }, (_, at) => knownRecord(`${name}/${random.next()}/${at}`));

t.test("the fleet's size follows from the sample", async (t) => {
  for (const size of [300, 1_000, 10_000]) {
    const errors: number[] = [];
    let stated = 0;
    for (let round = 0; round < 20; round++) {
      const sample = new FleetSample();
      for (const record of crowd(size, `${round}`)) sample.offer(record, 0);
      const { agents, relativeError } = sample.estimate();
      stated = relativeError;
      errors.push(agents / size - 1);
    }
    const rms = Math.sqrt(errors.reduce((sum, error) => sum + error ** 2, 0) / errors.length);
    t.comment(
      `${size} agents: error ${(100 * rms).toFixed(1)} %, stated ${(100 * stated).toFixed(1)} %`,
    );
    t.ok(rms < 2 * stated, "on average as stated");
    t.ok(Math.max(...errors.map(Math.abs)) < 5 * stated, "and never far off");
  }
  const few = new FleetSample();
  for (const record of crowd(SAMPLE_MAX - 1, "few")) few.offer(record, 0);
  t.same(few.estimate(), { agents: SAMPLE_MAX - 1, relativeError: 0 }, "few are counted");
});

t.test("all who are told of the same agents hold the same sample", async () => {
  const records = crowd(60, "same");
  const places = (sample: FleetSample): number[] => [...sample.places()];
  fc.assert(
    fc.property(
      fc.shuffledSubarray(records, { minLength: 1 }),
      fc.integer({ min: 1, max: 20 }),
      fc.nat({ max: 100 }),
      (told, sizeMax, gone) => {
        const one = new FleetSample(sizeMax);
        const other = new FleetSample(sizeMax);
        for (const record of told) one.offer(record, 10);
        for (const record of [...told].reverse()) {
          other.offer(record, 10);
          other.offer(record, 5);
        }
        const want = told
          .map(placeOf)
          .sort((a, b) => a - b)
          .slice(0, sizeMax);
        if (places(one).join() !== want.join() || places(other).join() !== want.join())
          return false;
        const victim = told[gone % told.length];
        if (victim === undefined) return false;
        one.remove(victim);
        if (places(one).includes(placeOf(victim))) return false;
        if (want.includes(placeOf(victim)) !== one.heardOf(placeOf(victim), 0)) return false;
        for (const [at, record] of told.entries())
          other.heardOf(placeOf(record), at % 2 === 0 ? 20 : 1);
        other.expire(15);
        return other.heardOfTimesMs().every((atMs) => atMs === 20);
      },
    ),
  );
});

t.test("a sample knows whether another one misses somebody", async () => {
  const members = fc.array(fc.constantFrom(...crowd(31, "misses")), { maxLength: 12 });
  const sampleOf = (records: readonly KnownRecord[], sizeMax: number): FleetSample => {
    const sample = new FleetSample(sizeMax);
    for (const record of records) sample.offer(record, 0);
    return sample;
  };
  fc.assert(
    fc.property(members, members, fc.integer({ min: 1, max: 8 }), (ours, theirs, sizeMax) => {
      const own = sampleOf(ours, sizeMax);
      const other = sampleOf(theirs, sizeMax);
      const both = sampleOf([...ours, ...theirs], sizeMax);
      const isMissing = own
        .places()
        .some((place) => both.get(place) !== undefined && other.get(place) === undefined);
      const says = own.hasMoreThan(other.places());
      // Of one with room to spare it is not said that it misses somebody beyond its last.
      return other.size === sizeMax ? says === isMissing : isMissing || !says;
    }),
  );
});

t.test("a filter holds whom it was given, and few others", async (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 2 ** 32 - 1 }), { maxLength: 300 }),
      fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      (names, seed) => {
        const sent = decodeRequest(encodeRequest(KnownFilter.of(names, seed)));
        return sent !== undefined && names.every((name) => sent.has(name));
      },
    ),
  );
  const names = crowd(10_000, "in").map(({ hash }) => hash);
  const filter = KnownFilter.of(names, seed);
  t.ok(filter.bytes.length <= FILTER_BYTES_MAX);
  const wrong = crowd(10_000, "out").filter(({ hash }) => filter.has(hash)).length;
  t.comment(`${wrong} of 10,000 strangers are taken for known`);
  t.ok(wrong < 200);
  const again = KnownFilter.of(names, seed + 1);
  const both = crowd(10_000, "out").filter(({ hash }) => filter.has(hash) && again.has(hash));
  t.ok(both.length < 20, "another seed shows most of them");
});

t.test("whatever comes is no crash", async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      decodeAnswer(bytes);
      decodeRequest(bytes)?.has(7);
      try {
        return new Answerer(() => [], 0).answer("x", bytes, 0).length >= 0;
      } catch (error) {
        return error instanceof Refused && error.code === "fleet.malformed";
      }
    }),
  );
});

const keys = new VirtualKeys();
const members = Array.from({ length: 3 * ANSWER_RECORDS_MAX }, (_, at) => {
  const signer = keys.signer(`member/${at}`);
  const verifier = new CachingVerifier(signer, 1);
  const said = { agentId: `a-${at}`, version: "1", addresses: [`/sim/${at}`] };
  const record = verifier.verify(signRecord(signer, said, { epoch: 1, sequence: 0 }, false));
  if (typeof record === "string") throw new Error(record);
  return { record, state: "alive" as const, sinceMs: 0, heardOfAtMs: 0, recordAtMs: 0 };
});
const first = members[0]!;

function surveyOf(sample: readonly string[] = [], partial = true): Survey {
  return new Survey({
    self: "self",
    verifier: new CachingVerifier(keys.signer("verifier"), 1_000),
    random,
    startMs: 0,
    partial,
    rows: [first],
    contacts: [{ peer: first.record.peerId, addresses: [] }],
    sample,
  });
}

t.test("an answerer tells page by page, and not for ever", async (t) => {
  const answerer = new Answerer(() => members, 0);
  const known = new Set<string>();
  for (let page = 0; page < 3; page++) {
    const names = members.map(({ record }) => record).filter(({ peerId }) => known.has(peerId));
    const request = encodeRequest(
      KnownFilter.of(
        names.map(({ hash }) => hash),
        page,
      ),
    );
    const bytes = answerer.answer("asker", request, 1_000);
    t.ok(bytes.length <= FLEET_MESSAGE_BYTES_MAX);
    const answer = decodeAnswer(bytes);
    t.ok((answer?.records.length ?? 0) <= ANSWER_RECORDS_MAX);
    t.equal(answer?.members, members.length);
    t.equal(answer?.agesS[0], 1);
    for (const record of answer?.records ?? [])
      known.add(
        members.find((one) => Buffer.compare(one.record.bytes, record) === 0)!.record.peerId,
      );
  }
  t.ok(known.size > 0.95 * members.length, "a false positive or two may be missing");
  for (let more = 3; more < ANSWERS_BURST; more++)
    answerer.answer("asker", new Uint8Array(0), 1_000);
  t.throws(() => answerer.answer("asker", new Uint8Array(0), 1_000), { code: "fleet.busy" });
  t.ok(answerer.answer("other", new Uint8Array(0), 2_000), "a second later it has time again");
  t.equal(answerer.counters().refusedBusy, 1);
});

t.test("a survey", async (t) => {
  const answerer = new Answerer(() => members, 0);
  const ask = (survey: Survey) => survey.step({ kind: "tick", nowMs: 0 }).ask[0];

  t.test("learns from answers and goes on with whom they name", async (t) => {
    const far = members.at(-1)!.record.peerId;
    const survey = surveyOf([first.record.peerId, far]);
    const one = ask(survey);
    t.equal(survey.progress().coverage, 0.5);
    const bytes = answerer.answer("self", one!.request, 0);
    const next = survey.step({ kind: "answer", from: one!.peer, bytes, nowMs: 0 });
    t.equal(survey.progress().found, 1 + ANSWER_RECORDS_MAX);
    t.equal(next.ask[0]?.peer, one!.peer, "it said that there is more");
    t.ok(next.ask.length > 1, "and others are asked beside");
    t.ok(next.ask.slice(1).every(({ addresses }) => addresses.length === 1));
  });

  t.test("asks nobody where the table holds all", async (t) => {
    const survey = surveyOf([], false);
    t.equal(survey.step({ kind: "tick", nowMs: 0 }).ended, "known");
    t.equal(survey.progress().coverage, 1);
  });

  t.test("complains of what is not genuine, and takes none of it", async (t) => {
    const survey = surveyOf();
    const { peer } = ask(survey)!;
    const garbage = survey.step({ kind: "answer", from: peer, bytes: Uint8Array.of(9), nowMs: 0 });
    t.same(garbage.offences, [{ peer, kind: "malformed-message" }]);
    const forged = surveyOf();
    ask(forged);
    const bytes = answerer.answer("self", new Uint8Array(0), 0);
    const spoilt = new TextDecoder("latin1").decode(bytes).indexOf("a-1");
    bytes[spoilt + 2] = 0x39;
    const effects = forged.step({ kind: "answer", from: peer, bytes, nowMs: 0 });
    t.same(effects.offences, [{ peer, kind: "forged-record" }]);
    t.equal(forged.progress().found, 1);
    const unasked = forged.step({ kind: "answer", from: "stranger", bytes, nowMs: 0 });
    t.same(unasked.offences, []);
  });

  t.test("ends when nobody is left, and at its deadline", async (t) => {
    const alone = surveyOf([first.record.peerId, "gone"]);
    const { peer } = ask(alone)!;
    t.equal(alone.step({ kind: "failed", from: peer, nowMs: 0 }).ended, "exhausted");
    t.equal(alone.progress().coverage, 0.5);
    const slow = surveyOf();
    ask(slow);
    const late = slow.step({ kind: "tick", nowMs: 180_000 });
    t.equal(late.ended, "deadline");
    t.same(late.done, [peer], "who is being asked is let go");
    t.same(slow.step({ kind: "tick", nowMs: 180_001 }), { ask: [], done: [], offences: [] });
  });
});
