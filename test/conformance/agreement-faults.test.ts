import t from "tap";
import { orderings } from "../support/agreement/orderings.ts";
import { agreementUnderFaults } from "./agreement-faults.ts";

for (const [name, founders, make] of orderings)
  agreementUnderFaults(t, name, founders, make, ["1", "2"]);
