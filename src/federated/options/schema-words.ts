import * as Type from "typebox";

/** Objects of these schemas have no keys but those that are named. */
export const strict = { additionalProperties: false } as const;

/** A whole number from 1 on. */
export const size = (most: number, fallback?: number) =>
  Type.Integer({
    minimum: 1,
    maximum: most,
    ...(fallback !== undefined && { default: fallback }),
  });

/** What an option of several kinds is told apart by. */
export const kind = <K extends string>(name: K) => Type.Literal(name);

/** A learning rate. */
export const rate = Type.Number({ exclusiveMinimum: 0, maximum: 1_000 });
