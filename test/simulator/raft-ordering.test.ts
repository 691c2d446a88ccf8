import t from "tap";
import { openRaftOrdering } from "../../src/consensus/raft-member/raft-ordering.ts";
import { orderingConformance } from "../conformance/ordering.ts";

t.setTimeout(400_000);

orderingConformance(t, { name: "raft", founders: 3, open: openRaftOrdering });
