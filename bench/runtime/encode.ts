/**
 * The requests of a case in the form that each server takes, as complete HTTP/1.1 messages, and the reading of their
 * answers.
 * Owns: the forms. `oip` is the Open Inference Protocol with binary data. `bytes` is the bytes of the tensors without a
 * frame. `base64` is these bytes in JSON, for servers that only accept JSON. `openai` is a text and its embedding.
 * Pure.
 */
import { Buffer } from 'node:buffer';
import type { OutputSpec, Row, Tensor } from './cases.ts';

export type Form = 'oip' | 'bytes' | 'base64' | 'base64-list' | 'openai';

export type HttpMessage = {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
};

/** An answer of a server: its headers in lower case, and its body. */
export type HttpAnswer = { readonly headers: ReadonlyMap<string, string>; readonly body: Uint8Array };

export function tensorMessage(form: Exclude<Form, 'openai'>, row: Row, outputs: readonly OutputSpec[]): HttpMessage {
  const data = Buffer.concat(row.map(bytesOf));
  if (form === 'oip') return oipMessage(row, data, outputs);
  if (form === 'bytes') return { path: '/infer', headers: { 'content-type': 'application/octet-stream' }, body: data };
  const text = data.toString('base64');
  return jsonMessage('/infer', { data: form === 'base64' ? text : [text] });
}

export function textMessage(text: string): HttpMessage {
  return jsonMessage('/v1/embeddings', { input: text, model: 'm' });
}

/** The complete HTTP message as bytes, so that the client has no more work to do when it sends the message. */
export function encodeMessage({ path, headers, body }: HttpMessage, more: HttpMessage['headers'] = {}): Uint8Array {
  const all = { host: '127.0.0.1', ...headers, ...more, 'content-length': String(body.length) };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([Buffer.from(`POST ${path} HTTP/1.1\r\n${lines.join('')}\r\n`), body]);
}

/** The numbers of the first output, by which the answers of two servers are compared. */
export function valuesIn(form: Form, answer: HttpAnswer, [first]: readonly OutputSpec[]): Float32Array {
  const { body } = answer;
  if (form === 'openai')
    return Float32Array.from(
      (JSON.parse(textIn(body)) as { data: { embedding: number[] }[] }).data[0]?.embedding ?? [],
    );
  const count = (first?.shape ?? []).reduce((product, dim) => product * dim, 1);
  if (form === 'oip')
    return floatsIn(body.subarray(Number(answer.headers.get('inference-header-content-length'))), count);
  if (form === 'bytes') return floatsIn(body, count);
  const read = JSON.parse(textIn(body)) as { data: string } | readonly string[];
  return floatsIn(Buffer.from('data' in read ? read.data : (read[0] ?? ''), 'base64'), count);
}

/** The largest difference of two lists, relative to the largest number; infinite for lists of different lengths. */
export function differenceOf(one: Float32Array, other: Float32Array): number {
  if (one.length !== other.length || one.length === 0) return Infinity;
  const largest = one.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-6);
  return one.reduce((most, value, index) => Math.max(most, Math.abs(value - (other[index] ?? NaN))), 0) / largest;
}

function oipMessage(row: Row, data: Uint8Array, outputs: readonly OutputSpec[]): HttpMessage {
  const header = Buffer.from(
    JSON.stringify({
      inputs: row.map((tensor) => ({
        name: tensor.name,
        shape: tensor.shape,
        datatype: tensor.type === 'float32' ? 'FP32' : 'INT64',
        parameters: { binary_data_size: tensor.data.byteLength },
      })),
      outputs: outputs.map(({ name }) => ({ name, parameters: { binary_data: true } })),
    }),
  );
  return {
    path: '/v2/models/m/infer',
    headers: {
      'content-type': 'application/octet-stream',
      'inference-header-content-length': String(header.length),
    },
    body: Buffer.concat([header, data]),
  };
}

function jsonMessage(path: string, value: unknown): HttpMessage {
  return { path, headers: { 'content-type': 'application/json' }, body: Buffer.from(JSON.stringify(value)) };
}

function bytesOf({ data }: Tensor): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

function textIn(body: Uint8Array): string {
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString();
}

function floatsIn(bytes: Uint8Array, count: number): Float32Array {
  // Copy the bytes: they may begin anywhere in a larger buffer, but a Float32Array must begin at a multiple of 4.
  const copy = new Uint8Array(bytes.subarray(0, count * 4));
  return new Float32Array(copy.buffer, 0, Math.floor(copy.byteLength / 4));
}
