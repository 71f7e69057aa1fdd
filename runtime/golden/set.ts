/**
 * A golden set as a file: JSON lines, or frames of the protocol's binary form.
 *
 * Owns:   the two formats (docs/golden-sets.md describes them for people) and what tells them apart.
 * Limits: `setLimits`; a set is counted when it is opened, and its cases are parsed one at a time as they are asked for.
 * Throws: AppError GOLDEN_SET_INVALID with the line or case at fault.
 */
import { isRecord } from '../../api/record.ts';
import { parseJson } from '../protocol/json.ts';
import { caseDepth, caseLimits, caseOf, invalid, within, type GoldenCase } from './case.ts';

export const setLimits = { bytes: 32 * 2 ** 20, cases: 1000 } as const;

export type GoldenSet = {
  readonly n: number;
  /** Parses as it goes: a case at fault is found when it is its turn. */
  readonly cases: () => Iterable<GoldenCase>;
};

/** A set in binary form begins with these eight bytes. */
export const frameMagic = 'OIPGOLD1';

/** @param model name of the model in URLs */
export function openSet(bytes: Uint8Array<ArrayBuffer>, model: string): GoldenSet {
  if (bytes.length > setLimits.bytes) throw invalid('the file', `has ${bytes.length} bytes, at most ${setLimits.bytes} are taken`);
  const parts = isFrames(bytes) ? framesOf(bytes) : linesOf(bytes);
  if (parts.length === 0) throw invalid('the file', 'has no case');
  if (parts.length > setLimits.cases) throw invalid('the file', `has ${parts.length} cases, at most ${setLimits.cases} are taken`);
  return {
    n: parts.length,
    * cases() {
      for (const part of parts) yield part(model);
    },
  };
}

type Part = (model: string) => GoldenCase;

const none = new Uint8Array(0);
const lineFeed = 0x0a;

/** One JSON object a line: `{"request": …, "expected"?: …}`. Blank lines are let pass. */
function linesOf(bytes: Uint8Array<ArrayBuffer>): readonly Part[] {
  const parts: Part[] = [];
  let start = 0;
  for (let line = 1; start < bytes.length; line += 1) {
    const found = bytes.indexOf(lineFeed, start);
    const end = found < 0 ? bytes.length : found;
    const text = bytes.subarray(start, end);
    if (text.some((byte) => byte > 0x20)) parts.push((model) => parseLine(text, `line ${line}`, model));
    start = end + 1;
  }
  return parts;
}

const lineFields = ['request', 'expected'];

function parseLine(text: Uint8Array, where: string, model: string): GoldenCase {
  if (text.length > caseLimits.bytes) throw invalid(where, `has ${text.length} bytes, at most ${caseLimits.bytes} are taken`);
  const value = within(where, 'it', () => parseJson(text, caseDepth, 'the line'));
  if (!isRecord(value)) throw invalid(where, 'is no JSON object');
  const unknown = Object.keys(value).find((key) => !lineFields.includes(key));
  if (unknown !== undefined) throw invalid(where, `no such field as '${unknown.slice(0, 64)}'; there are ${lineFields.join(' and ')}`);
  return caseOf({ request: value['request'], requestBlob: none, expected: value['expected'], expectedBlob: none }, where, model);
}

function isFrames(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.subarray(0, frameMagic.length)).toString('latin1') === frameMagic;
}

/**
 * After the magic, for each case a frame of its request and one of its expected answer. A frame: two little-endian u32,
 * the bytes of JSON and the bytes of all; then the JSON and its binary data. Both 0: there is no expected answer.
 */
function framesOf(bytes: Uint8Array<ArrayBuffer>): readonly Part[] {
  const parts: Part[] = [];
  let at = frameMagic.length;
  while (at < bytes.length) {
    const where = `case ${parts.length + 1}`;
    const request = frameAt(bytes, at, `${where}, request`);
    const expected = frameAt(bytes, request.end, `${where}, expected`);
    if (request.json.length === 0) throw invalid(where, 'its request is empty');
    at = expected.end;
    parts.push((model) => parseFrames(request, expected, { where, model }));
    if (parts.length > setLimits.cases) break;
  }
  return parts;
}

type Frame = { readonly json: Uint8Array; readonly blob: Uint8Array<ArrayBuffer>; readonly end: number };

function frameAt(bytes: Uint8Array<ArrayBuffer>, at: number, where: string): Frame {
  if (at + 8 > bytes.length) throw invalid(where, 'the file ends before its frame');
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, 8);
  const [jsonBytes, allBytes] = [view.getUint32(0, true), view.getUint32(4, true)];
  if (allBytes > caseLimits.bytes) throw invalid(where, `its frame says ${allBytes} bytes, at most ${caseLimits.bytes} are taken`);
  if (jsonBytes > allBytes || at + 8 + allBytes > bytes.length) throw invalid(where, `its frame says ${jsonBytes} bytes of JSON in ${allBytes}, ${bytes.length - at - 8} are left`);
  const start = at + 8;
  return { json: bytes.subarray(start, start + jsonBytes), blob: bytes.subarray(start + jsonBytes, start + allBytes), end: start + allBytes };
}

function parseFrames(request: Frame, expected: Frame, { where, model }: { readonly where: string; readonly model: string }): GoldenCase {
  const parse = (frame: Frame, part: string): unknown => (frame.json.length === 0 ? undefined : within(where, part, () => parseJson(frame.json, caseDepth, 'its JSON')));
  return caseOf({ request: parse(request, 'request'), requestBlob: request.blob, expected: parse(expected, 'expected'), expectedBlob: expected.blob }, where, model);
}
