/**
 * Fuzz cases (random requests with the expected answers) of infer requests: JSON, binary data after JSON, and raw
 * bytes. Requests are valid, or are valid requests with a random change (mutated).
 * Owns: how a request is made and mutated. reference.ts computes the expected answer without code of the runtime. Pure.
 */
import { checkOf } from './answers.ts';
import { postParts, type Case } from './cases.ts';
import type { Chance } from './chance.ts';
import { mutate, mutateBytes, object, oddValue, print, Raw, type Obj, type Tree } from './json-tree.ts';
import { tensorModels, type Datatype, type RefTensor, type Spec, type TensorModel } from './models.ts';
import { judge } from './reference.ts';
import { bytesOfValues } from './tensor-bytes.ts';

export function jsonCase(chance: Chance): Case {
  const model = chance.pick(tensorModels);
  const request = jsonRequest(model, tensorsOf(model, chance), chance);
  return finish(model, { kind: 'json', request, blobs: [], binary: false }, chance);
}

export function binaryCase(chance: Chance): Case {
  const model = chance.pick(tensorModels);
  const tensors = tensorsOf(model, chance);
  if (model.inputs.length === 1 && chance.percent(15)) return rawCase(model, tensors, chance);
  const blobs: Buffer[] = [];
  const inputs = tensors.map((tensor) => {
    if (tensor.datatype !== 'FP16' && chance.percent(25)) return headOf(tensor, { data: jsonData(tensor, chance) });
    const blob = spoiledBlob(bytesOfValues(tensor), chance);
    blobs.push(blob.bytes);
    return headOf(tensor, { parameters: object({ binary_data_size: blob.size }) });
  });
  return finish(
    model,
    { kind: 'binary', request: withOptions(model, object({ inputs }), chance), blobs, binary: true },
    chance,
  );
}

/** The bytes of a tensor and their announced size. Sometimes the bytes or the size are wrong. */
function spoiledBlob(bytes: Buffer, chance: Chance): { readonly bytes: Buffer; readonly size: Tree } {
  if (chance.percent(88)) return { bytes, size: bytes.length };
  if (chance.percent(40)) return { bytes: mutateBytes(bytes, chance), size: bytes.length };
  if (chance.percent(50)) {
    const changed = mutateBytes(bytes, chance);
    return { bytes: changed, size: changed.length };
  }
  return {
    bytes,
    size: chance.pick<Tree>([
      bytes.length + 1,
      bytes.length - 1,
      -1,
      0,
      2 ** 31,
      2 ** 53,
      new Raw('1e300'),
      '4',
      null,
      1.5,
      oddValue(chance),
    ]),
  };
}

function rawCase(model: TensorModel, [tensor]: readonly RefTensor[], chance: Chance): Case {
  const plain =
    tensor === undefined
      ? Buffer.alloc(0)
      : tensor.datatype === 'BYTES'
        ? Buffer.from(String(tensor.values[0] ?? ''))
        : bytesOfValues(tensor);
  const body = chance.percent(70) ? plain : mutateBytes(plain, chance);
  return {
    kind: 'binary/raw',
    server: model.name,
    parts: postParts(chance, { path: pathOf(model), body, headers: ['Inference-Header-Content-Length: 0'] }),
    due: [{ check: checkOf(judge(model, body, '0'), model.tolerance) }],
    connection: 'keep',
  };
}

type Draft = {
  readonly kind: string;
  readonly request: Obj;
  readonly blobs: readonly Buffer[];
  readonly binary: boolean;
};

/** Makes the case: mutates the request at random, and computes the expected answer with the reference. */
function finish(model: TensorModel, { kind, request, blobs, binary }: Draft, chance: Chance): Case {
  const spoil = chance.weighted([
    [55, 'nothing'],
    [25, 'tree'],
    [12, 'bytes'],
    [8, 'header'],
  ] as const);
  if (spoil === 'tree') for (let times = chance.between(1, 3); times > 0; times -= 1) mutate(request, chance);
  const plain = Buffer.from(print(request, chance), 'utf8');
  const json = spoil === 'bytes' ? mutateBytes(plain, chance) : plain;
  const body = Buffer.concat([json, ...blobs]);
  const header =
    spoil === 'header'
      ? spoiledHeader(json.length, body.length, chance)
      : binary || chance.percent(3)
        ? String(json.length)
        : undefined;
  const headers = [
    'Content-Type: application/octet-stream',
    ...(header === undefined ? [] : [`Inference-Header-Content-Length: ${header}`]),
  ];
  return {
    kind: `${kind}/${spoil}`,
    server: model.name,
    parts: postParts(chance, { path: pathOf(model), body, headers }),
    due: [{ check: checkOf(judge(model, body, header), model.tolerance) }],
    connection: 'keep',
  };
}

function spoiledHeader(json: number, body: number, chance: Chance): string {
  return chance.pick([
    String(json + 1),
    String(Math.max(0, json - 1)),
    String(body + 1),
    '-1',
    '1e3',
    '0x10',
    '999999999999999',
    '99999999999999999999',
    'abc',
    '1.0',
    `${json}, ${json}`,
    `00${json}`,
  ]);
}

function pathOf({ name }: TensorModel): string {
  return `/v2/models/${name}/infer`;
}

export function tensorsOf(model: TensorModel, chance: Chance): RefTensor[] {
  // Include a few large cases: the runtime parses and writes them on a separate thread, and runs them in pieces.
  const rows = chance.weighted([
    [700, 1],
    [250, chance.between(2, 4)],
    [40, chance.between(5, 12)],
    [10, 0],
    [2, chance.between(1000, 3000)],
  ]);
  return model.inputs.map((spec) => tensorOf(spec, rows, chance));
}

function tensorOf({ name, datatype, dims }: Spec, rows: number, chance: Chance): RefTensor {
  const shape = dims.map((dim) => dim ?? rows);
  const count = shape.reduce((product, dim) => product * dim, 1);
  return { name, datatype, dims: shape, values: chance.many(count, () => valueOf(datatype, chance)) };
}

const texts = [
  '',
  'a',
  'hello',
  'é',
  '日本語',
  '💩',
  'line\nbreak',
  '"quoted"',
  '\\',
  '\u2028',
  '\ufeffmark',
  '\ufffd',
  '__proto__',
  'x'.repeat(300),
  '\u0001',
  '\u007f',
  'e\u0301',
];

export function valueOf(datatype: Datatype, chance: Chance): number | bigint | string {
  switch (datatype) {
    case 'BYTES':
      return chance.pick(texts);
    case 'BOOL':
      return chance.below(2);
    case 'FP16':
      return chance.below(0x1_0000);
    case 'FP32':
      return Math.fround(floatOf(chance));
    case 'FP64':
      return floatOf(chance);
    case 'INT64':
      return chance.percent(60)
        ? BigInt(chance.between(-1000, 1000))
        : BigInt.asIntN(64, (BigInt(chance.next()) << 32n) | BigInt(chance.next()));
    case 'UINT64':
      return chance.percent(60)
        ? BigInt(chance.below(1000))
        : BigInt.asUintN(64, (BigInt(chance.next()) << 32n) | BigInt(chance.next()));
    default:
      return integerOf(datatype, chance);
  }
}

function integerOf(datatype: 'INT8' | 'UINT8' | 'INT16' | 'UINT16' | 'INT32' | 'UINT32', chance: Chance): number {
  const bits = Number(datatype.replace(/\D+/, ''));
  const word = chance.next() >>> (32 - bits);
  return datatype.startsWith('U') ? word : word - 2 ** (bits - 1);
}

function floatOf(chance: Chance): number {
  return chance.weighted([
    [8, chance.between(-64, 64) / 4],
    [3, (chance.next() / 2 ** 31 - 1) * 10 ** chance.between(-8, 8)],
    [1, chance.pick([0, -0, 1e-45, 1e-38, 3.4028234663852886e38, -3.4028234663852886e38, 0.1])],
  ]);
}

function jsonRequest(model: TensorModel, tensors: readonly RefTensor[], chance: Chance): Obj {
  const inputs = tensors.map((tensor) => headOf(tensor, { data: jsonData(tensor, chance) }));
  return withOptions(model, object({ inputs: chance.percent(10) ? inputs.toReversed() : inputs }), chance);
}

function headOf({ name, datatype, dims }: RefTensor, more: Readonly<Record<string, Tree>>): Obj {
  return object({ name, datatype, shape: [...dims], ...more });
}

/** The values of a tensor as JSON: one flat list, or lists that are nested like the shape. */
function jsonData({ datatype, dims, values }: RefTensor, chance: Chance): Tree {
  const flat = values.map((value) => jsonValue(datatype, value, chance));
  if (dims.length < 2 || flat.length === 0 || chance.percent(60)) return flat;
  const width = dims[1] ?? 1;
  return Array.from({ length: dims[0] ?? 0 }, (_, row) => flat.slice(row * width, (row + 1) * width));
}

function jsonValue(datatype: Datatype, value: number | bigint | string, chance: Chance): Tree {
  if (datatype === 'BOOL') return chance.percent(50) ? value === 1 : Number(value);
  if (typeof value === 'bigint')
    return Number.isSafeInteger(Number(value)) && chance.percent(50) ? new Raw(String(value)) : String(value);
  return typeof value === 'number' && Object.is(value, -0) ? new Raw('-0') : value;
}

/** Adds the optional fields id, outputs and parameters to some requests. FP16 results are requested as bytes. */
function withOptions(model: TensorModel, request: Obj, chance: Chance): Obj {
  if (chance.percent(20)) request.set('id', chance.pick(['1', '', 'id "x"', 'é', 'x'.repeat(200)]));
  const parameters = parametersOf(model, chance);
  if (parameters.entries.length > 0 || chance.percent(3)) request.set('parameters', parameters);
  if (chance.percent(20))
    request.set(
      'outputs',
      model.outputs.filter(() => chance.percent(80)).map(({ name }) => outputOf(name, chance)),
    );
  if (chance.percent(3))
    request.set(chance.pick(['unknown', '__proto__', 'constructor', 'model_name']), oddValue(chance));
  return request;
}

function parametersOf({ outputs }: TensorModel, chance: Chance): Obj {
  const parameters = object({});
  const half = outputs.some(({ datatype }) => datatype === 'FP16') && chance.percent(95);
  if (half || chance.percent(20)) parameters.set('binary_data_output', half || chance.percent(60));
  if (chance.percent(3)) parameters.set('timeout', chance.pick([0, 60_000_000, 1, 1000]));
  if (chance.percent(5)) parameters.set('priority', 1);
  return parameters;
}

function outputOf(name: string, chance: Chance): Obj {
  return object({ name, ...(chance.percent(30) ? { parameters: object({ binary_data: chance.percent(50) }) } : {}) });
}
