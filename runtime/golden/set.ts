/**
 * A golden set as a file: JSON lines, or frames of the protocol's binary form. Each of its cases is a request to a
 * model, with or without the expected answer.
 *
 * Owns:   the two formats (docs/golden-sets.md describes them) and how to tell them apart.
 * Limits: `setLimits`. openSet() counts the cases; cases() parses them one at a time.
 * Throws: AppError GOLDEN_SET_INVALID with the line or case at fault.
 */
import { isRecord } from '../../api/record.ts';
import { parseJson } from '../protocol/json.ts';
import { lineRanges, type Bytes } from './bytes.ts';
import { caseDepth, caseLimits, caseOf, invalidCase, within, type GoldenCase } from './case.ts';

export const setLimits = { bytes: 32 * 2 ** 20, cases: 1000 } as const;

export type GoldenSet = {
  readonly n: number;
  /** Parses lazily: the iteration throws when it reaches an invalid case. */
  readonly cases: () => Iterable<GoldenCase>;
};

/** The first eight bytes of a set in binary form. */
export const frameMagic = 'OIPGOLD1';

/** @param model name of the model in URLs */
export function openSet(bytes: Bytes, model: string): GoldenSet {
  if (bytes.length > setLimits.bytes)
    throw invalidCase('the file', `has ${bytes.length} bytes, more than the limit of ${setLimits.bytes}`);
  const parts = isFrames(bytes) ? framesOf(bytes) : linesOf(bytes);
  if (parts.length === 0) throw invalidCase('the file', 'has no cases');
  if (parts.length > setLimits.cases)
    throw invalidCase('the file', `has ${parts.length} cases, more than the limit of ${setLimits.cases}`);
  return {
    n: parts.length,
    *cases() {
      for (const part of parts) yield part(model);
    },
  };
}

type Part = (model: string) => GoldenCase;

const none = new Uint8Array(0);

/** One JSON object per line: `{"request": …, "expected"?: …}`. Blank lines are ignored. */
function linesOf(bytes: Bytes): readonly Part[] {
  const parts: Part[] = [];
  let line = 0;
  for (const { from, to, blank } of lineRanges(bytes)) {
    line += 1;
    if (blank) continue;
    const where = `line ${line}`;
    if (to - from > caseLimits.bytes)
      throw invalidCase(where, `has ${to - from} bytes, more than the limit of ${caseLimits.bytes}`);
    parts.push((model) => parseLine(bytes.slice(from, to), where, model));
    if (parts.length > setLimits.cases) break;
  }
  return parts;
}

const lineFields = ['request', 'expected'];

function parseLine(text: Uint8Array, where: string, model: string): GoldenCase {
  const value = within(where, undefined, () => parseJson(text, { maxDepth: caseDepth }, 'the line'));
  if (!isRecord(value)) throw invalidCase(where, 'is not a JSON object');
  const unknown = Object.keys(value).find((key) => !lineFields.includes(key));
  if (unknown !== undefined)
    throw invalidCase(where, `unknown field '${unknown.slice(0, 64)}'; known fields: ${lineFields.join(' and ')}`);
  return caseOf(
    { request: value['request'], requestBlob: none, expected: value['expected'], expectedBlob: none },
    where,
    model,
  );
}

function isFrames(bytes: Bytes): boolean {
  return Buffer.from(bytes.slice(0, Math.min(frameMagic.length, bytes.length))).toString('latin1') === frameMagic;
}

/**
 * After `frameMagic`, each case has two frames: its request and its expected answer. A frame starts with two
 * little-endian u32: the length of its JSON, and the length of its JSON and binary data together. The JSON follows,
 * then the binary data. If both lengths of the second frame are 0, the case has no expected answer.
 */
function framesOf(bytes: Bytes): readonly Part[] {
  const parts: Part[] = [];
  let at = frameMagic.length;
  while (at < bytes.length) {
    const where = `case ${parts.length + 1}`;
    const request = frameAt(bytes, at, `${where}, request`);
    const expected = frameAt(bytes, request.to, `${where}, expected`);
    if (request.jsonTo === request.from) throw invalidCase(where, 'the request is empty');
    at = expected.to;
    parts.push((model) => parseFrames(bytes, { request, expected }, { where, model }));
    if (parts.length > setLimits.cases) break;
  }
  return parts;
}

/** Where a frame's JSON begins and ends, and where its binary data ends. */
type Frame = { readonly from: number; readonly jsonTo: number; readonly to: number };

function frameAt(bytes: Bytes, at: number, where: string): Frame {
  const from = at + 8;
  if (from > bytes.length) throw invalidCase(where, 'the file ends before this frame');
  const head = bytes.slice(at, from);
  const view = new DataView(head.buffer, head.byteOffset, 8);
  const [jsonBytes, allBytes] = [view.getUint32(0, true), view.getUint32(4, true)];
  if (allBytes > caseLimits.bytes)
    throw invalidCase(where, `the frame has ${allBytes} bytes, more than the limit of ${caseLimits.bytes}`);
  if (jsonBytes > allBytes || from + allBytes > bytes.length)
    throw invalidCase(
      where,
      `the frame declares ${jsonBytes} bytes of JSON in ${allBytes} bytes, but the file has ` +
        `${bytes.length - from} bytes left`,
    );
  return { from, jsonTo: from + jsonBytes, to: from + allBytes };
}

function parseFrames(
  bytes: Bytes,
  { request, expected }: { readonly request: Frame; readonly expected: Frame },
  { where, model }: { readonly where: string; readonly model: string },
): GoldenCase {
  const parse = (frame: Frame, part: string): unknown =>
    frame.jsonTo === frame.from
      ? undefined
      : within(where, part, () =>
          parseJson(bytes.slice(frame.from, frame.jsonTo), { maxDepth: caseDepth }, 'the JSON'),
        );
  const blob = ({ jsonTo, to }: Frame): Uint8Array<ArrayBuffer> => bytes.slice(jsonTo, to);
  return caseOf(
    {
      request: parse(request, 'request'),
      requestBlob: blob(request),
      expected: parse(expected, 'expected'),
      expectedBlob: blob(expected),
    },
    where,
    model,
  );
}
