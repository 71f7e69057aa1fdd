/**
 * JSON as the fuzzer writes it: trees that can contain what a JavaScript object cannot (duplicate keys, numbers as
 * text).
 * Owns: the tree, its printing (with random spaces, escapes and line breaks) and random changes of it.
 * Pure.
 */
import type { Chance } from './chance.ts';

/** Text that is printed as it is: `1e999`, `-0`, `nul`. */
export class Raw {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** An object as a list of entries: keys may repeat. */
export class Obj {
  entries: [string, Tree][];
  constructor(entries: readonly (readonly [string, Tree])[]) {
    this.entries = entries.map(([key, value]) => [key, value]);
  }
  set(key: string, value: Tree): void {
    const found = this.entries.find(([name]) => name === key);
    if (found === undefined) this.entries.push([key, value]);
    else found[1] = value;
  }
  get(key: string): Tree | undefined {
    return this.entries.find(([name]) => name === key)?.[1];
  }
}

export type Tree = null | boolean | number | string | Raw | Tree[] | Obj;

export function object(fields: Readonly<Record<string, Tree>>): Obj {
  return new Obj(Object.entries(fields));
}

/** Prints a tree as JSON. @param odd the source of random spaces and escapes; absent: there are none */
export function print(tree: Tree, odd?: Chance): string {
  const gap = odd !== undefined && odd.percent(15) ? odd.pick([' ', '\n', '\t', '\r\n  ']) : '';
  if (tree instanceof Raw) return tree.text;
  if (typeof tree === 'string') return text(tree, odd);
  if (Array.isArray(tree)) return `[${tree.map((item) => gap + print(item, odd)).join(`${gap},`)}${gap}]`;
  if (tree instanceof Obj) {
    const entries = tree.entries.map(([key, value]) => `${gap}${text(key, odd)}${gap}:${gap}${print(value, odd)}`);
    return `{${entries.join(',')}${gap}}`;
  }
  return JSON.stringify(tree);
}

function text(value: string, odd: Chance | undefined): string {
  const plain = JSON.stringify(value);
  if (odd === undefined || !odd.percent(3)) return plain;
  return `"${value.replace(/[\s\S]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)}"`;
}

type Place = {
  readonly get: Tree;
  readonly set: (value: Tree) => void;
  readonly drop: () => void;
  readonly twice: (value: Tree) => void;
};

/** The positions in a tree; at most `max` positions are returned. */
function placesOf(tree: Tree, max = 200): Place[] {
  const places: Place[] = [];
  const visit = (node: Tree): void => {
    if (places.length >= max) return;
    if (Array.isArray(node)) {
      node.forEach((item, at) => {
        places.push({
          get: item,
          set: (value) => {
            node[at] = value;
          },
          drop: () => {
            node.splice(at, 1);
          },
          twice: (value) => {
            node.splice(at, 0, value);
          },
        });
        visit(item);
      });
    } else if (node instanceof Obj) {
      for (const entry of node.entries) {
        places.push({
          get: entry[1],
          set: (value) => {
            entry[1] = value;
          },
          drop: () => {
            node.entries = node.entries.filter((other) => other !== entry);
          },
          twice: (value) => {
            node.entries.push([entry[0], value]);
          },
        });
        visit(entry[1]);
      }
    }
  };
  visit(tree);
  return places;
}

const oddKeys = [
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  'valueOf',
  'length',
  '',
  'data',
  'shape',
  'parameters',
  'then',
  '\u0000',
  '💩',
  '\ud800',
];
const oddNumbers = [
  '0',
  '-0',
  '-1',
  '1',
  '1.0',
  '1e0',
  '0.5',
  '1e999',
  '-1e999',
  '1e-999',
  '9007199254740993',
  '-9223372036854775808',
  '18446744073709551615',
  '18446744073709551616',
  '4294967296',
  '2147483648',
  '65536',
  '256',
  '-129',
  '3.5e38',
  '340282356779733661637539395458142568448',
  '123456789012345678901234567890',
  '01',
  '+1',
  '.5',
  '1.',
  '0x10',
  'NaN',
  'Infinity',
  '1_000',
];
const oddTexts = [
  '',
  ' ',
  '\u0000',
  'a\u0000b',
  '\ud800',
  '\udc00x',
  'é',
  '💩',
  '\ufeff',
  '\u2028',
  'NaN',
  '12',
  '-12',
  '9223372036854775808',
  '__proto__',
  'FP32',
  'INT64',
  'BYTES',
  'x',
  'y',
  'float',
  'base64',
  'x'.repeat(600),
];

export function oddValue(chance: Chance, depth = 0): Tree {
  const kinds = depth > 2 ? 5 : 8;
  switch (chance.below(kinds)) {
    case 0:
      return null;
    case 1:
      return chance.percent(50);
    case 2:
      return new Raw(chance.pick(oddNumbers));
    case 3:
      return chance.pick(oddTexts);
    case 4:
      return chance.between(-300, 300);
    case 5:
      return chance.many(chance.below(4), () => oddValue(chance, depth + 1));
    case 6:
      return new Obj(chance.many(chance.below(4), () => [chance.pick(oddKeys), oddValue(chance, depth + 1)] as const));
    default:
      return nest(chance);
  }
}

/** A value of nested lists or objects. */
function nest(chance: Chance): Tree {
  const depth = chance.weighted([
    [6, chance.between(2, 30)],
    [1, chance.between(100, 2000)],
  ]);
  const [open, close] = chance.pick([
    ['[', ']'],
    ['{"a":', '}'],
    ['[[', ']]'],
    ['[', ''],
  ] as const);
  return new Raw(`${open.repeat(depth)}1${close.repeat(depth)}`);
}

/** Changes the tree at one random position. */
export function mutate(tree: Tree, chance: Chance): void {
  const places = placesOf(tree);
  if (places.length === 0) return;
  const place = chance.pick(places);
  const change = chance.below(6);
  if (change === 0) place.drop();
  else if (change === 1) place.twice(oddValue(chance));
  else if (change === 2) place.twice(place.get);
  else if (change === 3)
    place.set(place.get instanceof Obj || Array.isArray(place.get) ? oddValue(chance) : [place.get]);
  else if (change === 4 && place.get instanceof Obj) place.get.entries.push([chance.pick(oddKeys), oddValue(chance)]);
  else place.set(oddValue(chance));
}

/**
 * Changes the bytes of a text at random: flips a bit, deletes, repeats, truncates, appends or inserts bytes. Some of
 * the inserted bytes are not UTF-8.
 */
export function mutateBytes(bytes: Buffer, chance: Chance): Buffer {
  const at = chance.below(bytes.length + 1);
  const to = Math.min(bytes.length, at + chance.between(1, 12));
  switch (chance.below(7)) {
    case 0:
      return bytes.map((byte, index) => (index === at ? byte ^ (1 << chance.below(8)) : byte)) as Buffer;
    case 1:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(to)]);
    case 2:
      return Buffer.concat([bytes.subarray(0, to), bytes.subarray(at)]);
    case 3:
      return bytes.subarray(0, at);
    case 4:
      return Buffer.concat([bytes.subarray(0, at), chance.bytes(chance.between(1, 4)), bytes.subarray(at)]);
    case 5:
      return Buffer.concat([
        bytes.subarray(0, at),
        chance.pick([
          Buffer.from([0xc0, 0x80]),
          Buffer.from([0xed, 0xa0, 0x80]),
          Buffer.from([0]),
          Buffer.from('\ufeff'),
          Buffer.from([0xff]),
        ]),
        bytes.subarray(at),
      ]);
    default:
      return Buffer.concat([
        bytes,
        chance.pick([Buffer.from('}'), Buffer.from(','), Buffer.from('\u0000'), Buffer.from(' '), bytes]),
      ]);
  }
}
