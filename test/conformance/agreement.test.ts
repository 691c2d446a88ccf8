import t from "tap";
import { orderings } from "../support/agreement/orderings.ts";
import { agreementConformance } from "./agreement.ts";

for (const [name, founders, make] of orderings) agreementConformance(t, name, founders, make);
