/** One cell of the grid: the value it has on each axis, and the whole experiment as it was written, unchecked. */
export interface Variant {
  /** Name of the axis and of the value, in the order of the axes. */
  readonly labels: readonly (readonly [axis: string, value: string])[];
  readonly document: Readonly<Record<string, unknown>>;
}

/** What can be varied: names of values, and what each of them sets. */
export interface Axis {
  readonly name: string;
  readonly values: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** More cells than anybody waits for. */
const VARIANTS_MAX = 1_000;

/**
 * Every combination of one value from each axis, the last axis turning fastest. A value sets sections of the
 * experiment: one that has a `kind` takes the section's place, any other is laid over it key by key.
 *
 * @throws RangeError for more than a thousand
 */
export function variantsOf(
  common: Readonly<Record<string, unknown>>,
  axes: readonly Axis[],
): readonly Variant[] {
  const count = axes.reduce((product, { values }) => product * Object.keys(values).length, 1);
  if (count > VARIANTS_MAX)
    throw new RangeError(`${count} variants, ${VARIANTS_MAX} at most: take values out of vary`);
  let variants: readonly Variant[] = [{ labels: [], document: common }];
  for (const { name, values } of axes)
    variants = variants.flatMap(({ labels, document }) =>
      Object.entries(values).map(([value, sections]) => ({
        labels: [...labels, [name, value] as const],
        document: laidOver(document, sections),
      })),
    );
  return variants;
}

function laidOver(
  document: Readonly<Record<string, unknown>>,
  sections: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const result: Record<string, unknown> = { ...document };
  for (const [name, section] of Object.entries(sections)) {
    const below = result[name];
    const replaces = !isObject(section) || !isObject(below) || "kind" in section;
    result[name] = replaces ? section : { ...below, ...section };
  }
  return result;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
