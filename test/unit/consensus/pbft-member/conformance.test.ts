import t from "tap";
import { openPbftOrdering } from "../../../../src/consensus/pbft-member/open.ts";
import { orderingConformance } from "../../../conformance/ordering.ts";

t.setTimeout(60_000);
orderingConformance(t, { name: "pbft", founders: 4, open: openPbftOrdering });
