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
    [{ committeeMax: 6 }, /coordination\.roles\.committeeMax/],
    [{ marginPercent: 10 }, /coordination\.roles\.marginPercent/],
    [{ needs: { worker: ["camera"] } }, /worker/],
  ] as const)
    t.match(faultsOf(roles).join("\n"), told);
});

t.test("kinds of tasks have names of their own", async (t) => {
  const faults = (tasks: object): string => {
    try {
      resolveConfig({ file: { name: "x.yaml", document: { coordination: { tasks } } } });
      return "";
    } catch (error) {
      return error instanceof ConfigError ? error.faults.join("\n") : String(error);
    }
  };
  t.equal(faults({ kinds: [{ name: "measure" }, { name: "photo", timeoutMs: 1_000 }] }), "");
  t.match(faults({ kinds: [{ name: "describe" }] }), /tasks\.kinds\.0\.name "describe"/);
  t.match(faults({ kinds: [{ name: "a" }, { name: "a" }] }), /tasks\.kinds\.1\.name "a"/);
  t.match(faults({ kinds: [{ name: "A" }] }), /coordination\.tasks\.kinds\.0\.name/);
  t.match(faultsOf({ skills: ["mains", "tasks"] }).join("\n"), /"mains"[^]*"tasks"/);
});
