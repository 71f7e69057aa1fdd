/**
 * Converts a ModelProto from and to the bytes of a file, without copying the raw data of weights.
 *
 * Limits: files below 2 GiB (protobuf). A decoded file has at most 20 million fields, 20 million bytes of packed
 *         numbers, and 64 levels of nested messages. These limits are checked before objects are allocated.
 * Throws: WireError for bytes that are not a model, RangeError for a model that is too large for a file.
 */
import { fromBinary, ScalarType, toBinary, type DescField, type DescMessage } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import {
  GraphProtoSchema,
  ModelProtoSchema,
  TensorProtoSchema,
  type GraphProto,
  type ModelProto,
  type TensorProto,
} from './proto/onnx_pb.ts';
import { WireError, WireReader, type Field, type Range } from './wire.ts';

export const maxMessageBytes = 2 ** 31 - 1;

const defaultMaxValues = 20_000_000;
const maxDepth = 64;
/** Raw data of fewer bytes is copied, which costs less than writing another piece. */
const copyBelowBytes = 4096;

/**
 * Decodes a file. Unknown fields are kept and written again.
 *
 * @param bytes must not change until the model has been written, because raw data are views of these bytes
 * @param maxValues maximum number of fields; also the maximum number of bytes in packed lists of numbers
 */
export function decodeModel(bytes: Uint8Array, maxValues = defaultMaxValues): ModelProto {
  if (bytes.length > maxMessageBytes) throw new WireError('a protobuf message must stay under 2 GiB');
  const readInto = (target: Uint8Array, at: number): void => target.set(bytes.subarray(at, at + target.length));
  const reader = new WireReader({ sizeBytes: bytes.length, readInto }, maxValues);
  new Counter(reader, maxValues).count(reader.whole, ModelProtoSchema, 0);
  try {
    // Do not pass a Buffer: its views would be Buffers too, whose slice() does not copy.
    return fromBinary(ModelProtoSchema, new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length), {
      recursionLimit: maxDepth + 1,
    });
  } catch (error) {
    throw new WireError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

/** Counts fields before objects are allocated, because two bytes of a file can become an object. */
class Counter {
  readonly #reader: WireReader;
  readonly #maxPackedBytes: number;
  #packedBytes = 0;

  constructor(reader: WireReader, maxPackedBytes: number) {
    this.#reader = reader;
    this.#maxPackedBytes = maxPackedBytes;
  }

  count(range: Range, message: DescMessage, depth: number): void {
    if (depth > maxDepth) throw new WireError(`messages are nested more than ${maxDepth} deep`);
    for (const field of this.#reader.fields(range)) {
      if (field.kind !== 'bytes') continue;
      const known = message.fields.find(({ number }) => number === field.number);
      if (known?.message !== undefined) this.count(field.range, known.message, depth + 1);
      else if (isPackable(known)) this.#countPacked(field);
    }
  }

  /** A packed number has at least one byte, so the limit of bytes also limits how many numbers there are. */
  #countPacked({ range }: Extract<Field, { kind: 'bytes' }>): void {
    this.#packedBytes += range.end - range.start;
    if (this.#packedBytes > this.#maxPackedBytes)
      throw new WireError(`lists of numbers have more than ${this.#maxPackedBytes} bytes`);
  }
}

/** Whether the field is a list of numbers, which may be packed. */
function isPackable(field: DescField | undefined): boolean {
  return field?.fieldKind === 'list' && field.scalar !== ScalarType.STRING && field.scalar !== ScalarType.BYTES;
}

/**
 * The file as pieces, ready for `writeFile`. In each message, raw data and the fields that contain raw data come last.
 *
 * @throws RangeError
 */
export function encodeProto(model: ModelProto): readonly Uint8Array[] {
  const { graph, ...rest } = model;
  const head = toBinary(ModelProtoSchema, rest as ModelProto);
  if (graph === undefined) return [head];
  return [head, ...fieldOf(ModelProtoSchema.field.graph.number, graphParts(graph))];
}

function graphParts(graph: GraphProto): readonly Uint8Array[] {
  const head = toBinary(GraphProtoSchema, { ...graph, initializer: [] });
  const { number } = GraphProtoSchema.field.initializer;
  return [head, ...graph.initializer.flatMap((tensor) => fieldOf(number, tensorParts(tensor)))];
}

function tensorParts(tensor: TensorProto): readonly Uint8Array[] {
  const { rawData, ...rest } = tensor;
  if (rawData === undefined || rawData.length < copyBelowBytes) return [toBinary(TensorProtoSchema, tensor)];
  const head = toBinary(TensorProtoSchema, rest as TensorProto);
  return [head, ...fieldOf(TensorProtoSchema.field.rawData.number, [rawData])];
}

/** The parts of a message as one field of its parent. */
function fieldOf(number: number, parts: readonly Uint8Array[]): readonly Uint8Array[] {
  const sizeBytes = parts.reduce((sum, part) => sum + part.length, 0);
  if (sizeBytes > maxMessageBytes)
    throw new RangeError('a protobuf message must stay under 2 GiB: put the weights into an external data file');
  return [new BinaryWriter().tag(number, WireType.LengthDelimited).uint32(sizeBytes).finish(), ...parts];
}
