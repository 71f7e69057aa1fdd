/**
 * The rules of a schema (`x-kubernetes-validations`): compiled when a CustomResourceDefinition (definition) is stored,
 * run on every write of an object.
 * Owns: converting JSON to CEL values by the schema, and when a rule is skipped. Without `optionalOldSelf`, a rule that
 * uses `oldSelf` runs only when an old value exists. When an update does not change a value, the rules and the other
 * validation of this value are skipped.
 */
import { Optional } from '@marcbachmann/cel-js';
import { messageOf } from '../../api/errors.ts';
import { isRecord } from '../../api/record.ts';
import { isSame, type JsonRecord } from '../../lib/json.ts';
import { invalidValue, shownValue, type Cause } from './cause.ts';
import { createEnvironment } from './cel-library.ts';
import { escaped, unknownFieldOf } from './cel-fields.ts';
import {
  listTypeOf,
  schemaOfField,
  schemaOfItems,
  stepOfItem,
  type OpenApiSchema,
  type ValidationRule,
} from './schema.ts';

type Program = (context: JsonRecord) => unknown;

const environment = createEnvironment();
const programs = new Map<string, Program>();
const maxPrograms = 5_000;

function compiled(expression: string): Program {
  const known = programs.get(expression);
  if (known !== undefined) return known;
  const program = environment.parse(expression) as Program;
  if (programs.size >= maxPrograms) programs.clear();
  programs.set(expression, program);
  return program;
}

/**
 * The errors in the rules themselves, such as a rule that does not compile.
 * @param path path of the schema, as a field of the definition
 */
export function ruleProblems(schema: OpenApiSchema, path: string): Cause[] {
  const own = (schema['x-kubernetes-validations'] ?? []).flatMap((rule, index) =>
    ruleProblem(rule, schema, `${path}.x-kubernetes-validations[${index}]`),
  );
  const fields = Object.entries(schema.properties ?? {}).flatMap(([field, below]) =>
    ruleProblems(below, `${path}.properties[${field}]`),
  );
  const items = schema.items === undefined ? [] : ruleProblems(schema.items, `${path}.items`);
  const entries = isRecord(schema.additionalProperties)
    ? ruleProblems(schema.additionalProperties as OpenApiSchema, `${path}.additionalProperties`)
    : [];
  return [...own, ...fields, ...items, ...entries];
}

function ruleProblem(rule: ValidationRule, schema: OpenApiSchema, path: string): Cause[] {
  const expressions = [
    { text: rule.rule, field: `${path}.rule`, wants: 'bool' },
    ...(rule.messageExpression === undefined
      ? []
      : [{ text: rule.messageExpression, field: `${path}.messageExpression`, wants: 'string' }]),
  ];
  return expressions.flatMap(({ text, field, wants }) => {
    const problem = expressionProblem(text, wants, schema);
    return problem === undefined ? [] : [invalidValue(field, asGo(rule), problem)];
  });
}

function expressionProblem(text: string, wants: string, schema: OpenApiSchema): string | undefined {
  const checked = environment.check(text);
  if (!checked.valid)
    return `compilation failed: ERROR: <input>: ${checked.error?.message.split('\n')[0] ?? 'unknown'}`;
  const unknown = unknownFieldOf(environment.parse(text).ast, schema);
  if (unknown !== undefined) return `compilation failed: ERROR: <input>: undefined field '${unknown}'`;
  return checked.type === wants || checked.type === 'dyn' ? undefined : `cel expression must evaluate to a ${wants}`;
}

/** A rule with the field names of the Go struct, as kube-apiserver prints it. */
function asGo(rule: ValidationRule): JsonRecord {
  const {
    rule: Rule,
    message: Message = '',
    messageExpression: MessageExpression = '',
    reason: Reason = null,
    fieldPath: FieldPath = '',
    optionalOldSelf: OptionalOldSelf = null,
  } = rule;
  return { Rule, Message, MessageExpression, Reason, FieldPath, OptionalOldSelf };
}

/**
 * Runs the rules of a schema and of all nodes below it.
 * @param old undefined on create, and where a value did not exist before
 */
export function runRules(value: unknown, schema: OpenApiSchema, path: string, old: unknown): Cause[] {
  if (value === null || (old !== undefined && isSame(value, old))) return [];
  const own = (schema['x-kubernetes-validations'] ?? []).flatMap((rule) => runRule(rule, schema, path, { value, old }));
  return [...own, ...runBelow(value, schema, path, old)];
}

function runBelow(value: unknown, schema: OpenApiSchema, path: string, old: unknown): Cause[] {
  if (isRecord(value)) {
    return Object.entries(value).flatMap(([field, item]) => {
      const below = schemaOfField(schema, field);
      return below === undefined
        ? []
        : runRules(item, below, path === '' ? field : `${path}.${field}`, isRecord(old) ? old[field] : undefined);
    });
  }
  if (!Array.isArray(value)) return [];
  const before =
    Array.isArray(old) && listTypeOf(schema) === 'map'
      ? new Map(old.map((item) => [stepOfItem(item, schema), item as unknown]))
      : undefined;
  return value.flatMap((item, index) =>
    runRules(item, schemaOfItems(schema), `${path}[${index}]`, before?.get(stepOfItem(item, schema))),
  );
}

function runRule(
  rule: ValidationRule,
  schema: OpenApiSchema,
  path: string,
  values: { value: unknown; old: unknown },
): Cause[] {
  if (/\boldSelf\b/.test(rule.rule) && values.old === undefined && rule.optionalOldSelf !== true) return [];
  const context = { self: celValue(values.value, schema), ...oldSelfOf(rule, schema, values.old) };
  const field = `${path}${rule.fieldPath ?? ''}` || '<nil>';
  try {
    if (compiled(rule.rule)(context) === true) return [];
  } catch (error) {
    return [invalidValue(field, values.value, `${firstLine(error)} evaluating rule: ${rule.message ?? rule.rule}`)];
  }
  return [failure(rule, field, messageFor(rule, context), values.value)];
}

/**
 * The variable `oldSelf` of a rule. For a rule with `optionalOldSelf` it is a CEL optional, so that the rule can detect
 * a creation.
 */
function oldSelfOf(rule: ValidationRule, schema: OpenApiSchema, old: unknown): JsonRecord {
  const before = old === undefined ? undefined : celValue(old, schema);
  if (rule.optionalOldSelf === true) return { oldSelf: before === undefined ? Optional.none() : Optional.of(before) };
  return before === undefined ? {} : { oldSelf: before };
}

function messageFor(rule: ValidationRule, context: JsonRecord): string {
  if (rule.messageExpression !== undefined) {
    try {
      const text = compiled(rule.messageExpression)(context);
      if (typeof text === 'string' && text.trim() !== '') return text;
    } catch {
      // When messageExpression fails, use the fixed message, as kube-apiserver does.
    }
  }
  return rule.message ?? `failed rule: ${rule.rule.trim()}`;
}

function failure(rule: ValidationRule, field: string, why: string, value: unknown): Cause {
  // Objects and lists are not printed, because they are too long.
  const about = typeof value === 'object' ? '' : `${shownValue(value)}: `;
  switch (rule.reason) {
    case 'FieldValueForbidden':
      return { reason: 'FieldValueForbidden', message: `Forbidden: ${why}`, field };
    case 'FieldValueRequired':
      return { reason: 'FieldValueRequired', message: `Required value: ${why}`, field };
    case 'FieldValueDuplicate':
      return {
        reason: 'FieldValueDuplicate',
        message: `Duplicate value: ${about === '' ? why : shownValue(value)}`,
        field,
      };
    default:
      return { reason: 'FieldValueInvalid', message: `Invalid value: ${about}${why}`, field };
  }
}

function firstLine(error: unknown): string {
  return messageOf(error).split('\n')[0] ?? '';
}

/**
 * JSON as CEL values: an integer becomes an int unless the schema's type is number, and a date-time becomes a
 * timestamp.
 */
export function celValue(value: unknown, schema: OpenApiSchema): unknown {
  if (typeof value === 'number') return isInteger(value, schema) ? BigInt(value) : value;
  if (typeof value === 'string') return schema.format === 'date-time' ? new Date(value) : value;
  if (Array.isArray(value)) return value.map((item) => celValue(item, schemaOfItems(schema)));
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([field, item]) => [
      escaped(field, schema),
      celValue(item, schemaOfField(schema, field) ?? {}),
    ]),
  );
}

function isInteger(value: number, schema: OpenApiSchema): boolean {
  return Number.isInteger(value) && schema.type !== 'number';
}
