/**
 * Fields in CEL rules: how CEL writes their names, and which fields the schema does not have.
 * Pure. A rule that names an unknown field is refused when it is compiled. The search follows member access that starts
 * at `self` or `oldSelf`; variables that a CEL macro binds, such as `x` in `list.all(x, …)`, are not followed.
 */
import { isRecord } from '../../api/record.ts';
import { keepsUnknown, schemaOfItems, type OpenApiSchema } from './schema.ts';

type Node = { readonly op: string; readonly args: unknown };

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && typeof (value as Node).op === 'string' && 'args' in value;
}

/** @returns the name of the first unknown field */
export function unknownFieldOf(ast: unknown, schema: OpenApiSchema): string | undefined {
  if (Array.isArray(ast)) {
    for (const part of ast) {
      const found = unknownFieldOf(part, schema);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  if (!isNode(ast)) return undefined;
  const access = schemaAt(ast, schema);
  return access?.unknown ?? unknownFieldOf(ast.args, schema);
}

type Access = { readonly schema: OpenApiSchema | undefined; readonly unknown?: string };

/** The schema node of an expression; undefined when the expression does not start at `self` or `oldSelf`. */
function schemaAt(node: Node, root: OpenApiSchema): Access | undefined {
  if (node.op === 'id') return node.args === 'self' || node.args === 'oldSelf' ? { schema: root } : undefined;
  if (!Array.isArray(node.args)) return undefined;
  const [target, member] = node.args as unknown[];
  if (!isNode(target)) return undefined;
  if (node.op === '[]') return itemOf(schemaAt(target, root));
  if ((node.op !== '.' && node.op !== '.?') || typeof member !== 'string') return undefined;
  return fieldOf(schemaAt(target, root), member);
}

function itemOf(of: Access | undefined): Access | undefined {
  if (of?.schema === undefined) return of;
  if (isRecord(of.schema.additionalProperties)) return { schema: of.schema.additionalProperties as OpenApiSchema };
  return { schema: of.schema.items === undefined ? undefined : schemaOfItems(of.schema) };
}

function fieldOf(of: Access | undefined, member: string): Access | undefined {
  if (of?.schema === undefined || of.unknown !== undefined) return of;
  const { properties, additionalProperties } = of.schema;
  const described = Object.entries(properties ?? {}).find(([name]) => escaped(name, of.schema ?? {}) === member);
  if (described !== undefined) return { schema: described[1] };
  if (isRecord(additionalProperties)) return { schema: additionalProperties as OpenApiSchema };
  const isOpen = keepsUnknown(of.schema) || properties === undefined;
  return isOpen ? { schema: undefined } : { schema: undefined, unknown: member };
}

const reserved = new Set([
  'true',
  'false',
  'null',
  'in',
  'as',
  'break',
  'const',
  'continue',
  'else',
  'for',
  'function',
  'if',
  'import',
  'let',
  'loop',
  'package',
  'namespace',
  'return',
  'var',
  'void',
  'while',
]);

/** How Kubernetes writes a field in CEL when its name is not an identifier. The key of a map is returned as it is. */
export function escaped(field: string, schema: OpenApiSchema): string {
  if (schema.properties === undefined || !Object.hasOwn(schema.properties, field)) return field;
  if (reserved.has(field)) return `__${field}__`;
  return field
    .replaceAll('__', '__underscores__')
    .replaceAll('.', '__dot__')
    .replaceAll('-', '__dash__')
    .replaceAll('/', '__slash__');
}
