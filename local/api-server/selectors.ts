/**
 * Label and field selectors, as `kubectl -l` and `--field-selector` send them. Pure.
 */
import type { StoredObject } from '../objects.ts';
import { labelValueProblem, qualifiedNameProblem } from '../../kube/schema/metadata.ts';
import type { Resource } from './resource.ts';
import { badRequest } from './status.ts';

export type Matcher = (object: StoredObject) => boolean;

type Labels = Readonly<Record<string, string>>;
type Requirement = (labels: Labels) => boolean;

export const matchAll: Matcher = () => true;

const lexeme = /\s*(==|=|!=|!|,|\(|\)|>|<|[^\s=!,()<>]+)/y;

function lexemesOf(text: string): string[] {
  const found: string[] = [];
  lexeme.lastIndex = 0;
  for (let match = lexeme.exec(text); match !== null; match = lexeme.exec(text)) found.push(match[1] ?? '');
  return found;
}

/** @throws StatusError 400 when the text is not a selector */
export function parseLabelSelector(text: string): Matcher {
  const parser = new LabelParser(lexemesOf(text));
  const requirements = parser.all();
  return (object) => requirements.every((holds) => holds(object.metadata.labels ?? {}));
}

class LabelParser {
  readonly #lexemes: readonly string[];
  #at = 0;

  constructor(lexemes: readonly string[]) {
    this.#lexemes = lexemes;
  }

  all(): Requirement[] {
    const requirements: Requirement[] = [];
    while (this.#at < this.#lexemes.length) {
      requirements.push(this.#requirement());
      if (this.#at >= this.#lexemes.length) break;
      if (this.#next() !== ',')
        throw badRequest(`found '${this.#lexemes[this.#at - 1]}', expected: ',' or 'end of string'`);
    }
    return requirements;
  }

  #requirement(): Requirement {
    const first = this.#next();
    if (first === '!') {
      const key = this.#key(this.#next());
      return (labels) => !Object.hasOwn(labels, key);
    }
    const key = this.#key(first);
    const operator = this.#lexemes[this.#at];
    if (operator === undefined || operator === ',') return (labels) => Object.hasOwn(labels, key);
    this.#at += 1;
    return this.#compared(key, operator);
  }

  #compared(key: string, operator: string): Requirement {
    switch (operator) {
      case '=':
      case '==':
        return this.#equals(key, true);
      case '!=':
        return this.#equals(key, false);
      case 'in':
        return this.#among(key, true);
      case 'notin':
        return this.#among(key, false);
      case '>':
        return this.#ordered(key, (a, b) => a > b);
      case '<':
        return this.#ordered(key, (a, b) => a < b);
      default:
        throw badRequest(`unable to parse requirement: found '${operator}', expected: in, notin, =, ==, !=, gt, lt`);
    }
  }

  #equals(key: string, wanted: boolean): Requirement {
    const next = this.#lexemes[this.#at];
    const value = next === undefined || next === ',' ? '' : this.#value(this.#next());
    return (labels) => (labels[key] === value) === wanted;
  }

  #among(key: string, wanted: boolean): Requirement {
    if (this.#next() !== '(') throw badRequest(`found '${this.#lexemes[this.#at - 1] ?? ''}', expected: '('`);
    const values: string[] = [];
    for (let next = this.#next(); next !== ')'; next = this.#next()) if (next !== ',') values.push(this.#value(next));
    return (labels) => (labels[key] !== undefined && values.includes(labels[key])) === wanted;
  }

  #ordered(key: string, holds: (a: number, b: number) => boolean): Requirement {
    const bound = Number(this.#next());
    if (!Number.isInteger(bound)) throw badRequest("for 'Gt', 'Lt' operators, the value must be an integer");
    return (labels) => labels[key] !== undefined && holds(Number(labels[key]), bound);
  }

  #next(): string {
    const lexeme = this.#lexemes[this.#at];
    if (lexeme === undefined) throw badRequest("found '', expected: identifier");
    this.#at += 1;
    return lexeme;
  }

  #key(text: string): string {
    const problem = qualifiedNameProblem(text);
    if (problem !== undefined)
      throw badRequest(`unable to parse requirement: <nil>: Invalid value: ${JSON.stringify(text)}: ${problem}`);
    return text;
  }

  #value(text: string): string {
    const problem = labelValueProblem(text);
    if (problem !== undefined)
      throw badRequest(
        `unable to parse requirement: values[0][${text}]: Invalid value: ${JSON.stringify(text)}: ${problem}`,
      );
    return text;
  }
}

/** @throws StatusError 400 when the resource does not support the field in selectors */
export function parseFieldSelector(text: string, resource: Resource): Matcher {
  const terms = text
    .split(/(?<!\\),/)
    .filter((term) => term !== '')
    .map((term) => parseTerm(term));
  for (const { field } of terms) {
    const isKnown =
      field === 'metadata.name' ||
      (field === 'metadata.namespace' && resource.namespaced) ||
      Object.hasOwn(fieldsOf(resource, emptyObject), field);
    const isOpen = resource.custom || resource.rules.selectable !== undefined;
    if (!isKnown)
      throw badRequest(
        isOpen
          ? `field label not supported: ${field}`
          : `${JSON.stringify(field)} is not a known field selector: only "metadata.name", "metadata.namespace"`,
      );
  }
  return (object) => {
    const fields = fieldsOf(resource, object);
    return terms.every(({ field, value, wanted }) => (fields[field] === value) === wanted);
  };
}

const emptyObject = {
  apiVersion: '',
  kind: '',
  metadata: { name: '', uid: '', resourceVersion: '', creationTimestamp: '' },
} satisfies StoredObject;

function fieldsOf(resource: Resource, object: StoredObject): Readonly<Record<string, string>> {
  return {
    ...resource.rules.selectable?.(object),
    'metadata.name': object.metadata.name,
    'metadata.namespace': object.metadata.namespace ?? '',
  };
}

function parseTerm(term: string): { readonly field: string; readonly value: string; readonly wanted: boolean } {
  const found = /^([^=!]+)(==|=|!=)(.*)$/.exec(term);
  if (found === null) throw badRequest(`invalid selector: '${term}'; can't understand '${term}'`);
  const [, field = '', operator = '', value = ''] = found;
  return { field: field.trim(), value: value.replaceAll(/\\([,=\\])/g, '$1'), wanted: operator !== '!=' };
}
