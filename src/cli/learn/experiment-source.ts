import { closest } from "fastest-levenshtein";
import { Clone, Default } from "typebox/value";
import { ConfigError } from "../../config/resolve.ts";
import { describeFaults } from "../../device/schema-faults.ts";
import {
  type Experiment,
  experimentSchema,
  type LabSettings,
  labSchema,
} from "../../federated/lab/options.ts";
import { type Variant, variantsOf } from "../../federated/lab/variants.ts";
import { readYamlFile } from "../../platform/yaml/read-yaml.ts";

/** One variant, checked, with its number from 1. */
export interface CheckedVariant extends Pick<Variant, "labels"> {
  readonly number: number;
  readonly experiment: Experiment;
}

/** A file, checked from end to end. */
export interface Lab {
  readonly name: string;
  readonly seeds: readonly number[];
  readonly axes: LabSettings["vary"];
  readonly variants: readonly CheckedVariant[];
}

const LAB_KEYS: ReadonlySet<string> = new Set(["name", "seeds", "vary"]);

/**
 * Reads an experiment and all of its variants, before any of them is run.
 * @throws YamlFileError; ConfigError naming every unknown or wrong key, with the nearest known one, and its variant
 */
export async function readLab(file: string): Promise<Lab> {
  const document = await readYamlFile(file);
  if (typeof document !== "object" || document === null || Array.isArray(document))
    throw new ConfigError(file, ["it must hold keys and values, such as `rounds: 100`"]);
  const entries = Object.entries(document as Record<string, unknown>);
  // Here, since below each half would know only its own keys.
  const known = [...LAB_KEYS, ...Object.keys(experimentSchema.properties)];
  const unknown = entries.filter(([key]) => !known.includes(key));
  if (unknown.length > 0)
    throw new ConfigError(
      file,
      unknown.map(([key]) => `${key} is not known; did you mean ${closest(key, known)}?`),
    );
  const own = Object.fromEntries(entries.filter(([key]) => LAB_KEYS.has(key)));
  const common = Object.fromEntries(entries.filter(([key]) => !LAB_KEYS.has(key)));
  const settings: unknown = Default(labSchema, Clone(own));
  const faults = describeFaults(labSchema, settings);
  if (faults.length > 0) throw new ConfigError(file, faults);
  const { name, seeds, vary } = settings as LabSettings;
  const empty = vary.find(({ values }) => Object.keys(values).length === 0);
  if (empty !== undefined) throw new ConfigError(file, [`vary: ${empty.name} has no values`]);
  let variants: readonly Variant[];
  try {
    variants = variantsOf(common, vary);
  } catch (error) {
    throw new ConfigError(file, [`vary: ${(error as Error).message}`]);
  }
  return {
    name,
    seeds,
    axes: vary,
    variants: variants.map(({ labels, document }, at) => ({
      labels,
      number: at + 1,
      experiment: checked(file, labels, document),
    })),
  };
}

function checked(
  file: string,
  labels: Variant["labels"],
  document: Variant["document"],
): Experiment {
  const filled: unknown = Default(experimentSchema, Clone(document));
  const faults = describeFaults(experimentSchema, filled);
  if (faults.length === 0) return withDefaults(filled as Experiment);
  const where = labels.map(([axis, value]) => `${axis} ${value}`).join(", ");
  throw new ConfigError(where === "" ? file : `${file} (${where})`, faults);
}

/** A union fills in its defaults only where it stands by itself. */
function withDefaults(experiment: Experiment): Experiment {
  return Default(experimentSchema, experiment) as Experiment;
}
