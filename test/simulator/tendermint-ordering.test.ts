import t from "tap";
import { openTendermintOrdering } from "../../src/consensus/tendermint-member/open.ts";
import { defaultTendermintMemberOptions } from "../../src/consensus/tendermint-member/options.ts";
import { orderingConformance } from "../conformance/ordering.ts";

t.setTimeout(400_000);

orderingConformance(t, {
  name: "tendermint",
  founders: 4,
  open: (parts, bounds) =>
    openTendermintOrdering(parts, { ...defaultTendermintMemberOptions, ...bounds }),
});
