import t from "tap";
import { livingNews } from "../../../src/agent/learners.ts";
import type { MemberChange } from "../../../src/mesh/membership/member.ts";

const change = (kind: MemberChange["kind"], before?: bigint | number, after: bigint | number = 1) =>
  ({
    kind,
    peer: "p",
    ...(before !== undefined && { before: { record: { epoch: before } } }),
    after: { record: { epoch: after } },
  }) as unknown as MemberChange;

t.test(
  "who comes, or begins anew, hears everything again; a newer record of the same is no news",
  async (t) => {
    for (const kind of ["joined", "back"] as const) t.equal(livingNews(change(kind)), true, kind);
    for (const kind of ["dead", "left"] as const) t.equal(livingNews(change(kind, 1)), false, kind);
    t.equal(livingNews(change("updated", 1, 1)), undefined, "as it refreshes its record");
    t.equal(livingNews(change("updated", 1, 2)), true, "it was started again");
    t.equal(livingNews(change("suspect", 1)), undefined);
    t.equal(livingNews(change("forgotten", 1)), undefined, "it gave way in a full table");
  },
);
