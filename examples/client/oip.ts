/**
 * A client of the Open Inference Protocol v2 with binary tensors. It sends one float32 tensor and returns one.
 * Owns: where the JSON and the bytes of tensors are in a body. Numbers are sent as bytes, not as text.
 * Limits: an answer of more than 64 MiB is not read.
 */

export type FloatTensor = { readonly shape: readonly number[]; readonly data: Float32Array };

type OutputHead = {
  readonly name: string;
  readonly shape: readonly number[];
  readonly datatype: string;
  readonly parameters?: { readonly binary_data_size?: number };
};

const lengthHeader = 'inference-header-content-length';
const maxAnswerBytes = 64 << 20;

/**
 * @param base the URL at which the model is served, e.g. `status.address.url`
 * @param input the name and the value of the input
 * @param output the name of the requested output
 * @throws Error with the server's message when the server refuses the request
 */
export async function infer(
  base: string,
  model: string,
  input: FloatTensor & { readonly name: string },
  output: string,
): Promise<FloatTensor> {
  const head = Buffer.from(
    JSON.stringify({
      inputs: [
        {
          name: input.name,
          shape: input.shape,
          datatype: 'FP32',
          parameters: { binary_data_size: input.data.byteLength },
        },
      ],
      outputs: [{ name: output, parameters: { binary_data: true } }],
    }),
  );
  const response = await fetch(new URL(`/v2/models/${encodeURIComponent(model)}/infer`, base), {
    method: 'POST',
    headers: { 'content-type': 'application/octet-stream', [lengthHeader]: String(head.length) },
    body: Buffer.concat([head, bytesOf(input.data)]),
  });
  if (!response.ok) throw new Error(`${model} answered ${response.status}: ${(await response.text()).slice(0, 500)}`);
  if (Number(response.headers.get('content-length') ?? 0) > maxAnswerBytes)
    throw new Error(`the answer of ${model} is larger than ${maxAnswerBytes} bytes`);
  return readOutput(Buffer.from(await response.arrayBuffer()), Number(response.headers.get(lengthHeader)), output);
}

function readOutput(body: Buffer, headBytes: number, wanted: string): FloatTensor {
  const { outputs } = JSON.parse(body.subarray(0, headBytes).toString('utf8')) as { outputs: readonly OutputHead[] };
  let offset = headBytes;
  for (const { name, shape, datatype, parameters } of outputs) {
    const bytes = parameters?.binary_data_size ?? 0;
    if (name === wanted && datatype === 'FP32') return { shape, data: floatsAt(body, offset, bytes) };
    offset += bytes;
  }
  throw new Error(`the answer does not have an FP32 output '${wanted}'`);
}

/** Copy the bytes: in the body, they may not be aligned for floats. */
function floatsAt(body: Buffer, offset: number, bytes: number): Float32Array {
  const copy = new Uint8Array(bytes);
  copy.set(body.subarray(offset, offset + bytes));
  return new Float32Array(copy.buffer);
}

function bytesOf(data: Float32Array): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
