import type { Static, TObject, TSchema } from "typebox";
import * as Type from "typebox";

type DeepReadonly<T> = T extends readonly (infer Item)[]
  ? readonly DeepReadonly<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> }
    : T;

/** What a handler returns for a response schema: the views' read-only values fit as they are. */
export type Body<S extends TSchema> = DeepReadonly<Static<S>>;

/** Milliseconds since 1970-01-01T00:00:00Z. */
export function epochMs(description: string) {
  return Type.Number({ description: `${description} Milliseconds since 1970-01-01T00:00:00Z.` });
}

/** A count that never falls below zero. */
export function count(description: string) {
  return Type.Integer({ minimum: 0, description });
}

/**
 * Refers to a schema that has an `$id`, so that the OpenAPI document tells it once. Such schemas are listed
 * in components.ts.
 */
export function named<S extends TSchema>(schema: S) {
  const { $id } = schema as { $id?: string };
  return Type.Unsafe<Static<S>>({ $ref: `${$id}#` });
}

/** A page of a list: `items`, and `nextCursor` while there is more. */
export function list<Item extends TSchema, Extra extends Record<string, TSchema>>(
  $id: string,
  item: Item,
  extra: Extra,
) {
  return Type.Object(
    {
      items: Type.Array(named(item)),
      nextCursor: Type.Optional(
        Type.String({
          description: "Opaque; pass it as `cursor` to get the next page. Absent on the last page.",
        }),
      ),
      ...extra,
    },
    { $id },
  );
}

/** A value, or the reason why this device has none. Never a false zero. */
export function measured<S extends TObject>(schema: S) {
  return Type.Union([
    Type.Object(
      { available: Type.Literal(true), ...schema.properties } as {
        available: Type.TLiteral<true>;
      } & S["properties"],
      describe(schema),
    ),
    Type.Object({ available: Type.Literal(false), reason: Type.String() }),
  ]);
}

function describe(schema: TSchema): { description?: string } {
  const { description } = schema as { description?: string };
  return description === undefined ? {} : { description };
}

/** Bytes in JSON: text where they are UTF-8, base64 where not, cut at 4,096 bytes. */
export const payload = Type.Object(
  {
    encoding: Type.Enum(["utf-8", "base64"]),
    data: Type.String(),
    bytes: count("Length of the whole payload in bytes."),
    truncated: Type.Boolean({ description: "True when `data` holds only the first 4,096 bytes." }),
  },
  { $id: "Payload" },
);

/** RFC 9457 problem details with a stable `code`. */
export const problem = Type.Object(
  {
    type: Type.String({ format: "uri-reference", description: "Where the code is explained." }),
    title: Type.String(),
    status: Type.Integer({ minimum: 400, maximum: 599 }),
    code: Type.String({
      pattern: "^[a-z0-9-]+(\\.[a-z0-9-]+)+$",
      description: "Stable; scripts may rely on it.",
    }),
    detail: Type.String({ description: "What is wrong and what to do about it." }),
    instance: Type.Optional(Type.String({ description: "Path that was asked for." })),
    errors: Type.Optional(
      Type.Array(
        Type.Object({
          parameter: Type.String({ description: "`query.limit`, `body.name`, …" }),
          detail: Type.String(),
        }),
      ),
    ),
  },
  { $id: "Problem" },
);
