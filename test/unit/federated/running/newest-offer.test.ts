import t from "tap";
import { NewestOffer } from "../../../../src/federated/running/newest-offer.ts";

const HASH = "0".repeat(64);
const model = (round: number) => ({ round, hash: HASH });

/** Models that are taken one at a time, when the test says so. */
function desk() {
  const asked: number[] = [];
  let nowMs = 0;
  let end = Promise.withResolvers<void>();
  const offers = new NewestOffer({
    clock: { monotonicMs: () => nowMs },
    offer: ({ round }) => {
      asked.push(round);
      end = Promise.withResolvers();
      return end.promise;
    },
    onFault: () => undefined,
  });
  const settle = async (fault?: string): Promise<void> => {
    if (fault === undefined) end.resolve();
    else end.reject(new Error(fault));
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  };
  return {
    offers,
    asked,
    settle,
    wait: (ms: number) => {
      nowMs += ms;
    },
  };
}

t.test("of models that come while one is measured the newest is next", async (t) => {
  const { offers, asked, settle } = desk();
  for (const round of [1, 2, 3]) {
    offers.put(model(round));
    offers.go();
  }
  t.same(asked, [1]);
  await settle();
  t.same(asked, [1, 3]);
  await settle();
  offers.go();
  t.same(asked, [1, 3], "and then there is none");
});

t.test(
  "one that could not be taken is tried again after a while, unless a newer one comes",
  async (t) => {
    const { offers, asked, settle, wait } = desk();
    offers.put(model(1));
    offers.go();
    await settle("the history is too short");
    t.equal(offers.fault, "the history is too short");
    offers.go();
    t.same(asked, [1]);
    wait(10_000);
    offers.go();
    await settle("still");
    t.same(asked, [1, 1]);
    offers.put(model(2));
    offers.go();
    await settle();
    t.same(asked, [1, 1, 2]);
    t.equal(offers.fault, undefined);
  },
);
