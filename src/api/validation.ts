import type { Ajv, ErrorObject, ValidateFunction } from "ajv";
import type { FastifySchema } from "fastify";
import { ApiProblem, type ParameterFault } from "./problem.ts";

type Part = "body" | "querystring" | "params" | "headers";

const partNames: Readonly<Record<Part, string>> = {
  body: "body",
  querystring: "query",
  params: "path",
  headers: "header",
};

let forText: Promise<Ajv> | undefined;
let forJson: Promise<Ajv> | undefined;

/**
 * Validators that load Ajv and compile their schema at the first request that needs them: starting up must
 * not wait for routes that may never be asked for.
 */
export function lazyValidatorCompiler({
  schema,
  httpPart,
}: {
  schema: FastifySchema;
  httpPart?: string;
}): (data: unknown) => Promise<boolean> {
  const part = (httpPart ?? "body") as Part;
  let compiled: Promise<ValidateFunction> | undefined;
  return async (data) => {
    compiled ??= compile(schema, part);
    const validate = await compiled;
    if (validate(data)) return true;
    const faults = (validate.errors ?? [])
      .slice(0, 20)
      .map((error) => faultOf(error, part, schema));
    throw new ApiProblem(
      "request.invalid",
      faults.map(({ parameter, detail }) => `${parameter} ${detail}`).join("; "),
      { members: { errors: faults } },
    );
  };
}

async function compile(schema: FastifySchema, part: Part): Promise<ValidateFunction> {
  // Parameters arrive as text and become numbers where the schema says so; JSON must say what it means.
  const ajv = part === "body" ? (forJson ??= load({})) : (forText ??= load({ coerceTypes: true }));
  return (await ajv).compile(schema as object);
}

async function load(options: { coerceTypes?: boolean }): Promise<Ajv> {
  const { Ajv } = await import("ajv");
  return new Ajv({ allErrors: true, strict: false, useDefaults: true, ...options });
}

function faultOf(error: ErrorObject, part: Part, schema: FastifySchema): ParameterFault {
  const place = [partNames[part], ...error.instancePath.split("/").slice(1)];
  const params = error.params as Readonly<Record<string, unknown>>;
  switch (error.keyword) {
    case "additionalProperties": {
      const { properties = {} } = schema as { properties?: object };
      const known = Object.keys(properties).join(", ") || "none";
      return {
        parameter: [...place, String(params["additionalProperty"]).slice(0, 100)].join("."),
        detail: `is not known; known are: ${known}`,
      };
    }
    case "required":
      return {
        parameter: [...place, String(params["missingProperty"])].join("."),
        detail: "is missing",
      };
    case "enum":
      return {
        parameter: place.join("."),
        detail: `must be one of: ${(params["allowedValues"] as unknown[]).join(", ")}`,
      };
    default:
      return { parameter: place.join("."), detail: error.message ?? "is not valid" };
  }
}
