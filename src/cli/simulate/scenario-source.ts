import { resolveScenario, type Scenario, scenarios } from "../../simulator/run/scenario.ts";
import type { SimulateOptions } from "./options.ts";

/**
 * @returns the scenario that was named or lies in a file, with what the options say instead
 * @throws ScenarioError, YamlFileError
 */
export async function scenarioOf(options: SimulateOptions): Promise<Scenario> {
  const { scenario: name, agents, hours, intensity } = options;
  const said = {
    ...(agents !== undefined && { agents }),
    ...(hours !== undefined && { hours }),
    ...(intensity !== undefined && { intensity }),
  };
  const known = scenarios[name];
  if (known !== undefined)
    return resolveScenario({ ...known.document, ...said }, `the scenario ${name}`);
  const { readYamlFile } = await import("../../platform/yaml/read-yaml.ts");
  const document = (await readYamlFile(name)) ?? {};
  return resolveScenario(
    typeof document === "object" && !Array.isArray(document) ? { ...document, ...said } : document,
    name,
  );
}

/** @returns the command that makes the same simulation again */
export function commandOf(
  options: SimulateOptions,
  { seed, hours, faults }: { seed: string; hours: number; faults?: readonly number[] },
): string {
  const { scenario, agents, intensity } = options;
  const words = ["agent-mesh simulate", "--scenario", scenario];
  if (agents !== undefined) words.push("--agents", String(agents));
  if (intensity !== undefined) words.push("--intensity", String(intensity));
  words.push("--hours", String(hours), "--seed", seed);
  if (faults !== undefined) words.push("--faults", faults.join(","));
  return words
    .map((word) => (/^[\w./,:-]+$|^agent-mesh simulate$/.test(word) ? word : quoted(word)))
    .join(" ");
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
