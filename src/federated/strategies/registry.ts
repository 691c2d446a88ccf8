import { closest } from "fastest-levenshtein";
import * as Type from "typebox";
import { Clone, Default, Errors } from "typebox/value";
import { type Aggregation, AggregationError, type PreAggregation } from "./aggregation.ts";
import { type CustomRules, noCustomRules } from "./custom-rules.ts";
import { preparationOptions, ruleOptions, serverOptions } from "./options.ts";
import { Bulyan } from "./rules/bulyan.ts";
import { CentredClipping } from "./rules/centred-clipping.ts";
import { CoordinateMedian, TrimmedMean } from "./rules/coordinatewise.ts";
import { GeometricMedian } from "./rules/geometric-median.ts";
import { Krum, MultiKrum } from "./rules/krum.ts";
import { Mean } from "./rules/mean.ts";
import { Bucketing, NearestNeighbourMixing, PreparedAggregation } from "./rules/preparations.ts";
import { QFedAvg } from "./rules/qfedavg.ts";
import { AdaptiveServer } from "./server/adaptive.ts";
import { ServerAveraging, ServerMomentum } from "./server/averaging.ts";
import type { ServerOptimizer } from "./server/server-optimizer.ts";
import { Strategy } from "./strategy.ts";

/** The most preparations before one rule. */
const PREPARATIONS_MAX = 4;
const KEYS = ["rule", "before", "server"];

interface Entry<T> {
  readonly schema: Type.TObject;
  readonly make: (options: unknown) => T;
}

/**
 * Strategies by their names, as they travel in a task's manifest:
 * `{"rule": {"kind": "krum", "byzantine": 6}, "before": [{"kind": "nearest-neighbour-mixing", "byzantine": 6}], "server": {"kind": "fedadam"}}`.
 * The rule is `mean` and the server `fedavg` when absent. Rules of one's own are added by {@link addRule}; whoever recomputes a round
 * needs them too.
 */
export class StrategyRegistry {
  readonly #rules = new Map<string, Entry<Aggregation>>();
  readonly #preparations = new Map<string, Entry<PreAggregation>>();
  readonly #servers = new Map<string, Entry<ServerOptimizer>>();

  /** With everything that is built in. @param custom where rules of the kind `custom` are found */
  constructor(custom: CustomRules = noCustomRules) {
    const rules = ruleOptions;
    this.addRule(rules.mean, () => new Mean());
    this.addRule(rules.qfedavg, (options) => new QFedAvg(options));
    this.addRule(rules.krum, (options) => new Krum(options));
    this.addRule(rules["multi-krum"], (options) => new MultiKrum(options));
    this.addRule(rules.bulyan, (options) => new Bulyan(options));
    this.addRule(rules.median, () => new CoordinateMedian());
    this.addRule(rules["trimmed-mean"], (options) => new TrimmedMean(options));
    this.addRule(rules["geometric-median"], (options) => new GeometricMedian(options));
    this.addRule(rules["centred-clipping"], (options) => new CentredClipping(options));
    this.addRule(rules.custom, (wanted) => {
      const found = custom.find(wanted);
      return typeof found === "string" ? missing(wanted.name, found) : found;
    });
    const preparations = preparationOptions;
    put(
      this.#preparations,
      preparations["nearest-neighbour-mixing"],
      (options) => new NearestNeighbourMixing(options),
    );
    put(this.#preparations, preparations.bucketing, (options) => new Bucketing(options));
    put(this.#servers, serverOptions.fedavg, (options) => new ServerAveraging(options));
    put(this.#servers, serverOptions.fedavgm, (options) => new ServerMomentum(options));
    put(this.#servers, serverOptions.fedadagrad, (options) => new AdaptiveServer(options));
    put(this.#servers, serverOptions.fedadam, (options) => new AdaptiveServer(options));
    put(this.#servers, serverOptions.fedyogi, (options) => new AdaptiveServer(options));
  }

  /**
   * Adds a rule.
   * @param schema an object whose `kind` is a literal: the rule's name
   * @param make called with options that fit the schema, defaults filled in
   * @throws AggregationError `aggregation.options` for a name that is taken, or a schema without one
   */
  addRule<S extends Type.TObject>(schema: S, make: (options: Type.Static<S>) => Aggregation): void {
    put(this.#rules, schema, make);
  }

  /** @returns the schema of all that {@link strategy} takes, for a document that contains it */
  schema(): Type.TObject {
    return Type.Object(
      {
        rule: Type.Optional(union(this.#rules)),
        before: Type.Optional(
          Type.Array(union(this.#preparations), { maxItems: PREPARATIONS_MAX }),
        ),
        server: Type.Optional(union(this.#servers)),
      },
      {
        additionalProperties: false,
        description: "How updates are combined and the model is moved.",
      },
    );
  }

  /**
   * @param options from anywhere
   * @throws AggregationError `aggregation.options` with the nearest name that is known
   */
  strategy(options: unknown): Strategy {
    if (typeof options !== "object" || options === null || Array.isArray(options))
      throw wrong("a strategy is an object with rule, before and server");
    for (const key of Object.keys(options))
      if (!KEYS.includes(key))
        throw wrong(`${key} is not known; did you mean ${closest(key, KEYS)}?`);
    const {
      rule = { kind: "mean" },
      before = [],
      server = { kind: "fedavg" },
    } = options as Record<string, unknown>;
    if (!Array.isArray(before) || before.length > PREPARATIONS_MAX)
      throw wrong(`before has to be a list of at most ${PREPARATIONS_MAX}`);
    const preparations = before.map((each: unknown, index) =>
      made(this.#preparations, each, `before.${index}`),
    );
    const core = made(this.#rules, rule, "rule");
    return new Strategy(
      preparations.length === 0 ? core : new PreparedAggregation(preparations, core),
      made(this.#servers, server, "server"),
    );
  }
}

/** A task may name a rule that is not here: it is known by its name all the same. */
function missing(name: string, why: string): Aggregation {
  return {
    name,
    aggregate() {
      throw wrong(why);
    },
  };
}

function union(entries: ReadonlyMap<string, Entry<unknown>>): Type.TUnion {
  return Type.Union([...entries.values()].map(({ schema }) => schema));
}

function put<T, S extends Type.TObject>(
  entries: Map<string, Entry<T>>,
  schema: S,
  make: (options: Type.Static<S>) => T,
): void {
  const { const: kind } = (schema.properties["kind"] ?? {}) as { readonly const?: unknown };
  if (typeof kind !== "string") throw wrong("the schema's kind is no literal");
  if (entries.has(kind)) throw wrong(`${kind} is there already`);
  entries.set(kind, { schema, make: (options) => make(options as Type.Static<S>) });
}

function made<T>(entries: ReadonlyMap<string, Entry<T>>, options: unknown, where: string): T {
  const kind = (options as { readonly kind?: unknown } | null | undefined)?.kind;
  const known = [...entries.keys()];
  if (typeof kind !== "string") throw wrong(`${where}.kind is missing: one of ${known.join(", ")}`);
  const entry = entries.get(kind);
  if (entry === undefined)
    throw wrong(
      `${where}.kind ${kind.slice(0, 64)} is not known; did you mean ${closest(kind.slice(0, 64), known)}?`,
    );
  const { schema } = entry;
  for (const key of Object.keys(options as object))
    if (!Object.hasOwn(schema.properties, key))
      throw wrong(
        `${where}.${key} is not known to ${kind}; did you mean ${closest(key, Object.keys(schema.properties))}?`,
      );
  const filled = Default(schema, Clone(options));
  const [fault] = Errors(schema, filled);
  if (fault !== undefined) {
    const missing = fault.keyword === "required" ? fault.params.requiredProperties[0] : undefined;
    const path = fault.instancePath.replaceAll("/", ".");
    throw wrong(
      missing === undefined ? `${where}${path} ${fault.message}` : `${where}.${missing} is missing`,
    );
  }
  return entry.make(filled);
}

function wrong(why: string): AggregationError {
  return new AggregationError("aggregation.options", why);
}
