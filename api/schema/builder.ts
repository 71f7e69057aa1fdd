/**
 * Builds a Kubernetes structural schema and the TypeScript type of its values from one expression. Pure: a schema is
 * immutable, and every method returns a new one.
 *
 * Terms: A structural schema is the form of OpenAPI schema that a CustomResourceDefinition may have. CEL is the
 *        language of its validation rules. A contract is JSON that our own processes exchange (contract.ts).
 * Owns: what a structural schema may contain. Every string, list and map needs a bound, because the API server refuses
 *       CEL rules over unbounded values.
 */

/**
 * `published`: the schema has the implemented fields. `whole`: it also has the planned fields, so that they can be
 * tested on a real API server.
 */
export type SchemaStage = 'published' | 'whole';
/** Whether an object must have the field, may have it, or will have it in a later version. */
export type Presence = 'required' | 'optional' | 'planned';

export type CelRule = {
  readonly rule: string;
  /** The fixed message. The API server uses it if messageExpression is absent or cannot be evaluated. */
  readonly message: string;
  /** CEL expression for a message that contains values of the object. */
  readonly messageExpression?: string;
  readonly fieldPath?: string;
  /** The rule also runs on creation, with `oldSelf` as an optional (Kubernetes 1.31). */
  readonly optionalOldSelf?: true;
};

/** The part of JSON Schema that a structural schema may use. */
export type JsonSchema = {
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean';
  readonly description?: string;
  readonly format?: string;
  readonly default?: unknown;
  readonly enum?: readonly string[];
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly maxProperties?: number;
  readonly items?: JsonSchema;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: JsonSchema;
  readonly required?: readonly string[];
  readonly anyOf?: readonly JsonSchema[];
  readonly 'x-kubernetes-int-or-string'?: true;
  readonly 'x-kubernetes-list-type'?: 'atomic' | 'map' | 'set';
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
  readonly 'x-kubernetes-preserve-unknown-fields'?: true;
  readonly 'x-kubernetes-validations'?: readonly CelRule[];
  /** Keywords for contracts. A CRD never has them. */
  readonly contract?: ContractWords;
};

/** The keywords of contracts. A structural schema does not have them. */
export type ContractWords = {
  /** The value may also be null. */
  readonly orNull?: true;
  /** The one value that is accepted. */
  readonly only?: string | number;
  /** A number must be greater than this. */
  readonly above?: number;
  /** How messages name a text of this pattern, with an article: "a duration such as 15m". */
  readonly patternName?: string;
  /** The pattern of a map's keys. */
  readonly keys?: string;
  /** One object schema for each value of the field `kind`. */
  readonly variants?: Readonly<Record<string, JsonSchema>>;
  /** A rule over the whole value, applied when all fields are valid. */
  readonly rule?: (value: never) => SchemaFault | undefined;
};

/**
 * The fault of a value. The path, such as `.providers[1].name`, leads to the wrong part of the value. It is empty if
 * the value itself is wrong.
 */
export type SchemaFault = { readonly path: string; readonly problem: string };

type Render = (stage: SchemaStage) => JsonSchema;

/** A schema for values of type T. */
export class Schema<T, P extends Presence = 'required'> {
  /** Never set. The TypeScript compiler needs the field to infer T. */
  declare readonly value: T;
  readonly presence: P;
  /** The default as text for the reference and for descriptions. The API server does not fill it in. */
  readonly defaultText: string | undefined;
  readonly #render: Render;

  constructor(render: Render, presence: P, defaultText?: string) {
    this.#render = render;
    this.presence = presence;
    this.defaultText = defaultText;
  }

  json(stage: SchemaStage): JsonSchema {
    return this.#render(stage);
  }

  /** One or two sentences for `kubectl explain` and the reference. */
  doc(description: string): Schema<T, P> {
    return this.#with({ description });
  }

  optional(): Schema<T, 'optional'> {
    return new Schema(this.#render, 'optional', this.defaultText);
  }

  /**
   * Makes the field optional. `text` only describes the default, which `withDefaults` fills in. The API server does not
   * fill it in, because an API default would change every stored object.
   */
  defaultsTo(text: string): Schema<T, 'optional'> {
    return new Schema(this.#render, 'optional', text);
  }

  /**
   * Makes the field required, and removes "Absent: …" from its description. Use it in contracts whose writer fills in
   * the defaults.
   */
  required(): Schema<T, 'required'> {
    return new Schema((stage) => {
      const { description, ...json } = this.#render(stage);
      return description === undefined ? json : { ...json, description: description.replace(/ Absent: [^.]*\.$/, '') };
    }, 'required');
  }

  /** Marks a field of the design that is not implemented yet. The published schema does not have the field. */
  planned(): Schema<T, 'planned'> {
    return new Schema(this.#render, 'planned', this.defaultText);
  }

  /**
   * A default that the API server writes into the object. Use it only for fields where Kubernetes needs an API default.
   */
  serverDefault(value: T): Schema<T, 'optional'> {
    return new Schema((stage) => ({ ...this.#render(stage), default: value }), 'optional', JSON.stringify(value));
  }

  /** @param stage 'whole' for a rule that uses planned fields */
  rule(rule: CelRule, stage: SchemaStage = 'published'): Schema<T, P> {
    const render: Render = (asked) => {
      const json = this.#render(asked);
      if (stage === 'whole' && asked === 'published') return json;
      return { ...json, 'x-kubernetes-validations': [...(json['x-kubernetes-validations'] ?? []), rule] };
    };
    return new Schema(render, this.presence, this.defaultText);
  }

  #with(more: JsonSchema): Schema<T, P> {
    return new Schema((stage) => ({ ...this.#render(stage), ...more }), this.presence, this.defaultText);
  }
}

/** The TypeScript type of a schema's values. Planned fields are not part of it. */
export type Infer<S> = S extends Schema<infer T, Presence> ? T : never;

export type AnySchema = Schema<unknown, Presence>;
export type SchemaFields = Readonly<Record<string, AnySchema>>;
type KeysOf<F extends SchemaFields, P extends Presence> = {
  [K in keyof F]: F[K] extends Schema<unknown, P> ? (P extends F[K]['presence'] ? K : never) : never;
}[keyof F];
export type ObjectOf<F extends SchemaFields> = { readonly [K in KeysOf<F, 'required'>]: Infer<F[K]> } & {
  readonly [K in KeysOf<F, 'optional'>]?: Infer<F[K]>;
};

type Bound = { readonly max: number; readonly min?: number };

function base<T>(json: JsonSchema): Schema<T> {
  return new Schema<T>(() => json, 'required');
}

/** @param bound lengths in characters */
function string(bound: Bound & { readonly pattern?: string; readonly format?: string }): Schema<string> {
  return base({
    type: 'string',
    maxLength: bound.max,
    ...(bound.min === undefined ? {} : { minLength: bound.min }),
    ...(bound.pattern === undefined ? {} : { pattern: bound.pattern }),
    ...(bound.format === undefined ? {} : { format: bound.format }),
  });
}

function oneOf<const V extends string, const L extends string = never>(
  values: readonly V[],
  planned: readonly L[] = [],
): Schema<V> {
  return new Schema<V>(
    (stage) => ({ type: 'string', enum: stage === 'whole' ? [...values, ...planned] : values }),
    'required',
  );
}

function integer(bound: {
  readonly min: number;
  readonly max: number;
  readonly format?: 'int32' | 'int64';
}): Schema<number> {
  return base({ type: 'integer', format: bound.format ?? 'int32', minimum: bound.min, maximum: bound.max });
}

function boolean(): Schema<boolean> {
  return base({ type: 'boolean' });
}

/** An integer from 0 on, or text such as a percentage or a quantity. */
function intOrString(pattern: string, { max }: { readonly max: number } = { max: 16 }): Schema<number | string> {
  return base({
    'x-kubernetes-int-or-string': true,
    anyOf: [{ type: 'integer' }, { type: 'string' }],
    minimum: 0,
    pattern,
    maxLength: max,
  });
}

/**
 * An object with any fields. The schema does not check the fields. The API server checks them once they are copied into
 * a pod or another object.
 */
function opaque(): Schema<Readonly<Record<string, unknown>>> {
  return base({ type: 'object', 'x-kubernetes-preserve-unknown-fields': true });
}

function map<S extends AnySchema>(
  value: S,
  bound: { readonly max: number },
): Schema<Readonly<Record<string, Infer<S>>>> {
  return new Schema(
    (stage) => ({ type: 'object', additionalProperties: value.json(stage), maxProperties: bound.max }),
    'required',
  );
}

/** A list whose order matters. An apply replaces the complete list. */
function list<S extends AnySchema>(item: S, bound: Bound): Schema<readonly Infer<S>[]> {
  return array(item, bound, { 'x-kubernetes-list-type': 'atomic' });
}

function set<S extends Schema<string, Presence>>(item: S, bound: Bound): Schema<readonly Infer<S>[]> {
  return array(item, bound, { 'x-kubernetes-list-type': 'set' });
}

/** A list whose items have a key. Several managers may each apply their own items. */
function listMap<S extends AnySchema>(key: string, item: S, bound: Bound): Schema<readonly Infer<S>[]> {
  return array(item, bound, { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': [key] });
}

function array<S extends AnySchema>(item: S, bound: Bound, kind: JsonSchema): Schema<readonly Infer<S>[]> {
  return new Schema(
    (stage) => ({
      type: 'array',
      items: item.json(stage),
      maxItems: bound.max,
      ...(bound.min === undefined ? {} : { minItems: bound.min }),
      ...kind,
    }),
    'required',
  );
}

function object<F extends SchemaFields>(fields: F): Schema<ObjectOf<F>> {
  return new Schema((stage) => {
    const shown = Object.entries(fields).filter(([, field]) => stage === 'whole' || field.presence !== 'planned');
    const required = shown.filter(([, field]) => field.presence === 'required').map(([name]) => name);
    return {
      type: 'object',
      properties: Object.fromEntries(shown.map(([name, field]) => [name, describe(field, stage)])),
      ...(required.length === 0 ? {} : { required }),
    };
  }, 'required');
}

/** Adds the default to the description, because `kubectl explain` does not show a default anywhere else. */
function describe(field: AnySchema, stage: SchemaStage): JsonSchema {
  const json = field.json(stage);
  if (field.defaultText === undefined) return json;
  const description = [json.description, `Default: ${field.defaultText}.`]
    .filter((part) => part !== undefined)
    .join(' ');
  return { ...json, description };
}

/** Functions that build schemas. */
export const k = { string, oneOf, integer, boolean, intOrString, opaque, map, list, set, listMap, object } as const;
