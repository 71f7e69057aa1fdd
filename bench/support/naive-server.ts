/**
 * A simple server as the baseline of the benchmark. It runs ONNX Runtime on the HTTP thread, with one run of the model
 * per request.
 * Use: `naive-server.ts MODEL`; prints its port.
 */
import { createServer } from 'node:http';
import { InferenceSession, Tensor } from 'onnxruntime-node';

const session = await InferenceSession.create(process.argv[2] ?? '');
const server = createServer((request, response) => {
  if (request.url === '/v2/health/live') {
    response.end('{"live":true}');
    return;
  }
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const body = Buffer.concat(chunks);
    const jsonBytes = Number(request.headers['inference-header-content-length']);
    const { inputs } = JSON.parse(body.subarray(0, jsonBytes).toString()) as {
      inputs: { name: string; shape: number[] }[];
    };
    const [input] = inputs;
    const data = new Float32Array(body.buffer.slice(body.byteOffset + jsonBytes, body.byteOffset + body.length));
    session.run({ [input?.name ?? '']: new Tensor('float32', data, input?.shape) }).then(
      ({ y }) => {
        const out = y?.data as Float32Array;
        response.end(Buffer.from(out.buffer, out.byteOffset, out.byteLength));
      },
      () => response.writeHead(500).end(),
    );
  });
});
server.listen(0, '127.0.0.1', () => process.stdout.write(`port ${(server.address() as { port: number }).port}\n`));
