/**
 * How each server is started, and the form of its requests.
 * Owns: the commands of our server and of the peers (other model servers, which are measured for comparison), and the
 * spec that the Python programs of the peers read from PEER_SPEC.
 * Pure: nothing is started here.
 */
import { join } from 'node:path';
import { benchModels, type ModelName } from '../cases.ts';
import type { Form } from '../encode.ts';
import type { ServerCommand } from './measured-server.ts';

export const peerNames = ['fastapi', 'pytriton', 'infinity', 'litserve', 'bentoml'] as const;
export type PeerName = (typeof peerNames)[number];
export type ServedName = 'ours' | PeerName;

export type ServeAsked = {
  readonly model: ModelName;
  /** Folder of the model's files: model.onnx, and tokenizer.json if the requests are texts. */
  readonly modelFolder: string;
  /** An empty folder for the files of this server. */
  readonly folder: string;
  /** Folder of our server's prepared models, kept between runs of the bench. */
  readonly cache: string;
  readonly port: number;
  readonly cpus: number;
  /** Folder of the peer's Python environment. */
  readonly python: string;
};

/** The maximum number of tokens of a text, which is the same for all servers. All texts of the bench are shorter. */
export const maxTokens = 256;

const repository = join(import.meta.dirname, '..', '..', '..');
const programs = join(import.meta.dirname, '..', 'peers');

/** @returns undefined when the server cannot serve this model */
export function formFor(server: ServedName, model: ModelName): Form | undefined {
  if (model === 'minilm-text') return server === 'pytriton' ? undefined : 'openai';
  const forms = {
    ours: 'oip',
    pytriton: 'oip',
    fastapi: 'bytes',
    litserve: 'base64',
    // BentoML can only batch requests whose body is a list.
    bentoml: 'base64-list',
    infinity: undefined,
  } as const;
  return forms[server];
}

/** Why a server is not measured for a model. */
export function whyNot(server: ServedName): string {
  return server === 'pytriton'
    ? 'it serves tensors only, and the tokenizer would be code of the bench'
    : 'it serves encoders of texts only';
}

export function commandFor(server: ServedName, asked: ServeAsked): Omit<ServerCommand, 'log'> {
  if (server === 'ours') return ourCommand(asked);
  const { python, port, cpus, modelFolder, folder } = asked;
  const common = {
    env: { PEER_SPEC: JSON.stringify(peerSpec(asked)), PEER_PORT: String(port), ...peerEnvironment },
    cwd: programs,
    port,
  };
  const bin = (name: string): string => join(python, 'bin', name);
  // prettier-ignore
  const argv: Readonly<Record<PeerName, { readonly argv: readonly string[]; readonly readyPath: string }>> = {
    fastapi: { argv: [bin('uvicorn'), 'fastapi_app:app', '--host', '127.0.0.1', '--port', String(port), '--workers',
      String(cpus), '--no-access-log', '--log-level', 'warning'], readyPath: '/health' },
    litserve: { argv: [bin('python'), 'litserve_app.py'], readyPath: '/health' },
    bentoml: { argv: [bin('bentoml'), 'serve', 'bentoml_app:Service', '--host', '127.0.0.1', '--port', String(port)],
      readyPath: '/readyz' },
    pytriton: { argv: [bin('python'), 'pytriton_app.py'], readyPath: '/v2/models/m/ready' },
    infinity: { argv: [bin('infinity_emb'), 'v2', '--model-id', modelFolder, '--served-model-name', 'm', '--engine',
      'optimum', '--device', 'cpu', '--host', '127.0.0.1', '--port', String(port), '--url-prefix', '/v1',
      '--no-model-warmup', '--pooling-method', 'mean', '--log-level', 'error'], readyPath: '/health' },
  };
  // Triton's processes share locks that time out during a pause.
  const canPause = server !== 'pytriton';
  return { ...common, canPause, env: { ...common.env, BENTOML_HOME: folder, HOME: folder }, ...argv[server] };
}

/** Settings that switch off telemetry, downloads and additional threads in the peers' libraries. */
const peerEnvironment = {
  BENTOML_DO_NOT_TRACK: 'true',
  DO_NOT_TRACK: '1',
  INFINITY_ANONYMOUS_USAGE_STATS: '0',
  HF_HUB_OFFLINE: '1',
  TRANSFORMERS_OFFLINE: '1',
  TOKENIZERS_PARALLELISM: 'false',
  OMP_NUM_THREADS: '1',
  PYTHONDONTWRITEBYTECODE: '1',
};

function peerSpec({ model, modelFolder, cpus }: ServeAsked): object {
  const { inputs, outputs, peerBatch } = benchModels[model];
  return {
    path: join(modelFolder, 'model.onnx'),
    inputs,
    outputs: outputs.map(({ name }) => name),
    outputShapes: outputs,
    threads: 1,
    cpus,
    maxBatch: peerBatch,
    ...(model === 'minilm-text' ? { tokenizer: join(modelFolder, 'tokenizer.json'), maxTokens } : {}),
  };
}

/** Starts our server as a user does: `serve` with a config file that names the task, and defaults for the rest. */
function ourCommand({ modelFolder, folder, cache }: ServeAsked): Omit<ServerCommand, 'log'> {
  const argv = ['serve', modelFolder, '--port', '0', '--name', 'm', '--config', configFile(folder), '--cache', cache];
  return {
    argv: [process.execPath, join(repository, 'runtime', 'main.ts'), ...argv],
    env: {},
    port: /^serving m at http:\/\/127\.0\.0\.1:(\d+)/m,
    readyPath: undefined,
    canPause: true,
  };
}

/** The path of our server's config file in the folder of the server. */
export function configFile(folder: string): string {
  return join(folder, 'serve.json');
}

export function configOf(model: ModelName): object {
  return model === 'minilm-text' ? { task: 'Embedding', embedding: { maxTokens } } : {};
}
