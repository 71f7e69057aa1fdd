/**
 * Reads the order and the types of the functions in ONNX Runtime's API table from a declaration of `struct OrtApi`.
 * Owns: two forms of the declaration: the C header onnxruntime_c_api.h, and lib.rs of the Rust crate ort-sys, which is
 * made from that header.
 * Pure.
 */
import type { NativeSignature, NativeType } from '../../runtime/engine/capi/signatures.ts';

export type Declared = { readonly name: string; readonly signature: NativeSignature };

/**
 * @param text the whole file
 * @returns the functions in the order of the table: a position in the list is a position in the table
 * @throws Error when the file has no declaration of OrtApi
 */
export function declaredFunctions(text: string): readonly Declared[] {
  const rust = between(text, 'pub struct OrtApi {', '\n}\n');
  const found = rust === undefined ? fromHeader(text) : fromRust(rust);
  if (found.length === 0) throw new Error('the file has no declaration of struct OrtApi');
  return found;
}

function fromHeader(text: string): readonly Declared[] {
  const plain = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/\/\/.*$/gm, '');
  const body = between(plain, 'struct OrtApi {', '\n};') ?? '';
  const status = /ORT_API2_STATUS\(\s*(\w+)\s*,?([\s\S]*?)\)\s*;/;
  const release = /ORT_CLASS_RELEASE2?\(\s*(\w+)\s*\)\s*;/;
  const other = /([\w\s*]+?)\(\s*ORT_API_CALL\s*\*\s*(\w+)\s*\)\s*\(([\s\S]*?)\)[^;()]*;/;
  const form = new RegExp(`${status.source}|${release.source}|${other.source}`, 'g');
  return [...body.matchAll(form)].map(([, usual, usualArgs = '', released, result = '', name = '', args = '']) => {
    if (usual !== undefined) return declared(usual, 'ptr', cParameters(usualArgs));
    if (released !== undefined) return declared(`Release${released}`, 'void', ['ptr']);
    return declared(name, nativeType(result), cParameters(args));
  });
}

function fromRust(body: string): readonly Declared[] {
  const form = /^\tpub (\w+):\s*unsafe (?:extern "system" )?fn\(([\s\S]*?)\)\s*(?:->\s*([^\n]+?))?,$/gm;
  const all = [...body.matchAll(form)].map(([, name = '', args = '', result]) => {
    const types = splitParameters(args).map((parameter) => nativeType(parameter.replace(/^\s*\w+:/, '')));
    return declared(name, result === undefined ? 'void' : nativeType(result), types);
  });
  // Some functions are declared twice, the second time for WebAssembly.
  return all.filter(({ name }, index) => all[index - 1]?.name !== name);
}

function declared(name: string, result: NativeType, parameters: readonly NativeType[]): Declared {
  return { name, signature: [result, ...parameters] };
}

function cParameters(text: string): readonly NativeType[] {
  return splitParameters(text)
    .filter((parameter) => parameter !== 'void')
    .map((parameter) => nativeType(parameter.replace(/\b_\w+_(\([^()]*\))?/g, '')));
}

/** Splits at commas that are not inside brackets. */
function splitParameters(text: string): readonly string[] {
  const parts: string[] = [''];
  let depth = 0;
  for (const sign of text) {
    if ('([<'.includes(sign)) depth += 1;
    if (')]>'.includes(sign)) depth -= 1;
    if (sign === ',' && depth === 0) parts.push('');
    else parts[parts.length - 1] += sign;
  }
  return parts.map((part) => part.trim()).filter((part) => part !== '');
}

/** The passing class of a type in C or Rust. An enum is an int; a pointer to anything, also to a function, is 'ptr'. */
function nativeType(text: string): NativeType {
  const type = text.trim();
  if (/\*|\[|OrtStatusPtr|\bfn\b|Function\b/.test(type)) return 'ptr';
  if (/\bsize_t\b|\busize\b/.test(type)) return 'size';
  if (/\bu?int64_t\b|\b[iu]64\b/.test(type)) return 'i64';
  if (/\buint32_t\b|\bu32\b/.test(type)) return 'u32';
  return /^void\b|^\(\)$/.test(type) ? 'void' : 'int';
}

function between(text: string, begin: string, end: string): string | undefined {
  const from = text.indexOf(begin);
  if (from < 0) return undefined;
  const to = text.indexOf(end, from);
  return to < 0 ? undefined : text.slice(from + begin.length, to + 1);
}
