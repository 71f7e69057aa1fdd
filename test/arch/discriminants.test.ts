/** Checks that unions in our code use `kind` as the discriminant. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { withoutComments } from '../support/imports.ts';

const root = join(import.meta.dirname, '..', '..');
const folders = ['api', 'lib', 'kube', 'operator', 'runtime', 'local', 'cli', 'bench', 'scripts', 'examples'];

/**
 * Exceptions: unions whose discriminant is part of a foreign format. The key is `file: field`, the value is the reason.
 */
const others: Readonly<Record<string, string>> = {
  'kube/client/kube-client.ts: type': 'the events of a Kubernetes watch',
};

type Member = { readonly text: string; readonly end: number };

/** The object type `{ … }` that begins at this position; undefined when there is no `{` at the position. */
function memberAt(text: string, at: number): Member | undefined {
  if (text[at] !== '{') return undefined;
  let depth = 0;
  for (let end = at; end < text.length; end += 1) {
    if (text[end] === '{') depth += 1;
    if (text[end] === '}') depth -= 1;
    if (depth === 0) return { text: text.slice(at + 1, end), end: end + 1 };
  }
  return undefined;
}

/** For every union `{ … } | { … }`, its object types. */
function unionsIn(text: string): readonly (readonly string[])[] {
  const unions: string[][] = [];
  let seen = 0;
  for (let at = text.indexOf('{'); at >= 0; at = text.indexOf('{', at + 1)) {
    if (at < seen) continue;
    const members: string[] = [];
    let member = memberAt(text, at);
    while (member !== undefined) {
      members.push(member.text);
      const next = /^\s*\|\s*(?=\{)/.exec(text.slice(member.end, member.end + 200));
      if (next === null) break;
      seen = member.end + next[0].length + 1;
      member = memberAt(text, member.end + next[0].length);
    }
    if (members.length > 1) unions.push(members);
  }
  return unions;
}

/** The fields of an object type whose values are literal texts, such as `kind: 'a' | 'b'`. */
function literalFields(member: string): readonly string[] {
  let flat = member;
  while (/\{[^{}]*\}/.test(flat)) flat = flat.replaceAll(/\{[^{}]*\}/g, '');
  return [...flat.matchAll(/(?:^|[;\n{])\s*(?:readonly )?(\w+): (?:\| )?'[^']*'(?:\s*\| '[^']*')*\s*(?=;|$)/g)].map(
    ([, name = '']) => name,
  );
}

/** The discriminants with a name other than `kind`, one for each union that has such a discriminant. */
function otherDiscriminants(text: string): readonly string[] {
  return unionsIn(withoutComments(text)).flatMap((members) => {
    const fields = members.map(literalFields);
    const shared = fields.flat().filter((name) => fields.filter((one) => one.includes(name)).length > 1);
    return shared.length === 0 || shared.includes('kind') ? [] : shared.slice(0, 1);
  });
}

describe('discriminated unions', () => {
  const found = folders
    .flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)),
    )
    .filter((path) => path.endsWith('.ts') && !path.includes('node_modules') && !path.endsWith('_pb.ts'))
    .flatMap((path) => otherDiscriminants(readFileSync(join(root, path), 'utf8')).map((name) => `${path}: ${name}`));

  it('have the discriminant kind', () =>
    assert.deepEqual(
      found.filter((one) => !Object.hasOwn(others, one)),
      [],
    ));

  it('have no exception that is not needed any more', () =>
    assert.deepEqual(
      Object.keys(others).filter((one) => !found.includes(one)),
      [],
    ));

  // prettier-ignore
  const mustFind: readonly { readonly name: string; readonly text: string; readonly want: readonly string[] }[] = [
    { name: 'another name', text: "type A = { readonly is: 'a'; x: 1 } | { readonly is: 'b' };", want: ['is'] },
    { name: 'another name over several lines', want: ['say'],
      text: "type A =\n  | {\n      readonly say: 'a';\n      b: { c: 1 };\n    }\n  | { readonly say: 'b' | 'c' };" },
    { name: 'a union inside another type', want: ['as'],
      text: "type A = { readonly b: { readonly as: 'a' } | { readonly as: 'b' } };" },
    { name: 'a union of which one member has no discriminant', want: ['do'],
      text: "type A = { x: 1 } | { do: 'a' } | { do: 'b' };" },
  ];
  for (const { name, text, want } of mustFind)
    it(`would notice ${name}`, () => assert.deepEqual(otherDiscriminants(text), want));

  // prettier-ignore
  const mayBe: readonly { readonly name: string; readonly text: string }[] = [
    { name: 'kind', text: "type A = { readonly kind: 'a' } | { readonly kind: 'b'; readonly why: 'c' };" },
    { name: 'fields that do not tell members apart', text: "type A = { readonly x: number } | { readonly y: 'a' };" },
    { name: 'one object with several words', text: "type A = { readonly is: 'a' | 'b' };" },
  ];
  for (const { name, text } of mayBe) it(`may have ${name}`, () => assert.deepEqual(otherDiscriminants(text), []));
});
