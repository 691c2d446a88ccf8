// What the settings of roles allow each and do not mean.
import t from "tap";
import { ConfigError, resolveConfig } from "../../../src/config/resolve.ts";

function faultsOf(roles: object): readonly string[] {
  try {
    resolveConfig({ file: { name: "x.yaml", document: { coordination: { roles } } } });
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
}

t.test("what can be used, and what can not", async (t) => {
  t.same(faultsOf({}), []);
  t.same(faultsOf({ skills: ["camera", "npu-2"], needs: { validator: ["bridge"] } }), []);
  t.same(faultsOf({ committeeMax: 4, marginPercent: 50, rebalanceIntervalMs: 60_000 }), []);
  for (const [roles, told] of [
    [{ skills: ["camera", "bridge"] }, /coordination\.roles\.skills\.1 "bridge" is a feature/],
    [{ skills: ["roles"] }, /coordination\.roles\.skills\.0 "roles"/],
    [{ skills: ["Camera"] }, /coordination\.roles\.skills\.0/],
    [{ committeeMax: 5 }, /coordination\.roles\.committeeMax/],
    [{ marginPercent: 10 }, /coordination\.roles\.marginPercent/],
    [{ needs: { worker: ["camera"] } }, /worker/],
  ] as const)
    t.match(faultsOf(roles).join("\n"), told);
});
