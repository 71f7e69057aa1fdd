/**
 * The part of OnnxModel's spec that makes a revision: a change of any of these fields starts a rollout.
 *
 * Owns: the shape, bounds and rules of model, execution, batching, memory, warmup and runtime; resources and template
 *       are in pods.ts. Descriptions name the defaults; api/defaults.ts fills them in.
 */
import { bounds } from '../bounds.ts';
import { precisions, providerNames, variantPrecisions } from '../choices.ts';
import { k, type CelRule } from './builder.ts';
import { resourcesSchema, sidecarResourcesSchema, templateSchema } from './pods.ts';
import { configMapRef, digest, dnsLabelPattern, duration, objectName, path, quantity } from './values.ts';
import { startsUnlisted, startsWithDigest, uriForms, uriPattern } from '../sources.ts';
import { plannedTasks, taskNames } from '../tasks.ts';
import { formatBytes, formatDurationMs } from '../units.ts';

const optionValue = (): ReturnType<typeof k.string> => k.string(bounds.optionValue);

/** The fields of a provider. The schema of the runtime's config also uses the schemas that this file exports. */
export const providerSpec = {
  name: k
    .oneOf(providerNames)
    .doc(
      "The execution provider. The image (spec.runtime.image) must contain it; the operator's default image has CPU.",
    ),
  options: k
    .map(optionValue(), bounds.providerOptions)
    .doc("Settings of this provider, with the names and values of ONNX Runtime's documentation. Absent: no settings.")
    .optional(),
};

export const embeddingSpec = {
  tokenizer: path()
    .doc(
      "Relative path of tokenizer.json in the model's folder. tokenizer_config.json, " +
        'sentence_bert_config.json, config.json and 1_Pooling/config.json are read from the same folder ' +
        'as tokenizer.json, if they exist.',
    )
    .defaultsTo('tokenizer.json'),
  output: k
    .string(bounds.outputName)
    .doc('Name of the output of the model that becomes the vector.')
    .defaultsTo('sentence_embedding if the model has it, else its first output'),
  pooling: k
    .oneOf(['None', 'Mean', 'Cls', 'Last'])
    .doc(
      'How the vectors of all tokens become one vector for each text. Mean: their average. Cls: the ' +
        "first token's vector. Last: the last token's vector. None: the model's output is already pooled.",
    )
    .defaultsTo('None for an output of shape [batch, hidden]; otherwise as 1_Pooling/config.json says, or Mean'),
  normalize: k
    .boolean()
    .doc('True: every vector is scaled to length 1. False: vectors are returned as the model computes ' + 'them.')
    .defaultsTo('true'),
  maxTokens: k
    .integer(bounds.maxTokens)
    .doc(
      'Maximum number of tokens of a text, special tokens included; 1 to 131072. onTooLong decides what happens to a ' +
        'longer text.',
    )
    .defaultsTo(
      'max_seq_length of sentence_bert_config.json, or model_max_length of tokenizer_config.json, but not more ' +
        'than the positions in config.json; 512 when none of them is set',
    ),
  onTooLong: k
    .oneOf(['Truncate', 'Refuse'])
    .doc(
      'What happens to a text of more than maxTokens tokens. Truncate: its end is cut off. Refuse: ' +
        'the request fails.',
    )
    .defaultsTo('Truncate'),
};

/** A CEL expression that is true when the uri begins with one of these prefixes. */
function uriStartsWith(starts: readonly string[]): string {
  const tests = starts.map((start) => `self.uri.startsWith('${start}')`);
  return tests.length === 1 ? (tests[0] ?? '') : `(${tests.join(' || ')})`;
}

const model = k
  .object({
    uri: k
      .string({ ...bounds.uri, pattern: uriPattern })
      .doc(
        `Where the model is: one file, or a folder when the URI ends with "/". ${uriForms}. A pvc:// URI names a ` +
          "PersistentVolumeClaim in the model's namespace; an npm: URI has an exact version.",
      ),
    digest: digest()
      .doc(
        'SHA-256 that the source must have, as "sha256:" and 64 hex digits; a pod that fetches other bytes fails. ' +
          'For a folder it is the SHA-256 of its sorted lines "sha256  path". Absent: the first pod of the revision ' +
          'records the digest, and later pods must fetch the same bytes.',
      )
      .optional(),
    files: k
      .listMap(
        'path',
        k.object({
          path: path().doc('Relative path of the file in the folder, such as onnx/model.onnx.'),
          digest: digest().doc('SHA-256 that the file must have, as "sha256:" and 64 hex digits.'),
        }),
        bounds.files,
      )
      .doc(
        'Every file of the folder that is used, with its digest. Required for https:// and http:// folders, which ' +
          'cannot be listed. Absent: all files of the folder.',
      )
      .optional(),
    variants: k
      .listMap(
        'precision',
        k.object({
          precision: k.oneOf(variantPrecisions).doc("Number format of this file's weights."),
          path: path().doc('Relative path of the .onnx file in the folder.'),
        }),
        bounds.variants,
      )
      .doc(
        'Files of the same model in other precisions, in the same folder; execution.precision selects ' +
          'one. Absent: no variants.',
      )
      .optional(),
    graphs: k
      .listMap(
        'name',
        k.object({
          name: k
            .string({ max: 40, min: 1, pattern: dnsLabelPattern })
            .doc('Any lower-case name, such as main. It only identifies the entry of the list.'),
          path: path().doc('Relative path of the .onnx file in the folder, such as onnx/model.onnx.'),
        }),
        bounds.graphs,
      )
      .doc('The .onnx file of the folder that is served with execution.precision Source.')
      .defaultsTo('model.onnx, or else the only .onnx file of the folder'),
    task: k
      .oneOf(taskNames, plannedTasks)
      .doc(
        'The API of the endpoint. Tensor: the Open Inference Protocol. Embedding: also /v1/embeddings, which ' +
          'accepts text and returns vectors.',
      )
      .defaultsTo('Tensor'),
    embedding: k
      .object(embeddingSpec)
      .doc('How text becomes a vector. Only with task Embedding. Absent: every field has its default.')
      .optional(),
    schemaPolicy: k
      .oneOf(['Compatible', 'Exact', 'Any'])
      .doc(
        'Which inputs and outputs a new revision may have, compared with the stable one. A revision that ' +
          'differs too much gets no traffic. Compatible: it accepts every input that stable accepts and ' +
          'returns every output that stable returns. Exact: inputs and outputs are the same. Any: they ' +
          'are not compared.',
      )
      .defaultsTo('Compatible'),
    credentialsSecretRef: k.object({ name: objectName() }).planned(),
  })
  .rule({
    rule: `!${uriStartsWith(startsWithDigest)} || has(self.digest)`,
    message: 'model.digest is required with an http:// uri: the transfer is not protected against changes',
    fieldPath: '.digest',
  })
  .rule({
    rule: "!has(self.embedding) || (has(self.task) && self.task == 'Embedding')",
    message: 'model.embedding is only allowed with task Embedding',
    fieldPath: '.embedding',
  })
  .rule({
    rule: "!(has(self.files) || has(self.variants) || has(self.graphs)) || self.uri.endsWith('/')",
    message: 'model.files, model.variants and model.graphs need a folder: end model.uri with "/"',
    fieldPath: '.uri',
  })
  .rule({
    rule: "!has(self.task) || self.task != 'Embedding' || self.uri.endsWith('/')",
    message: 'task Embedding needs a folder with model and tokenizer: end model.uri with "/"',
    fieldPath: '.uri',
  })
  .rule({
    rule: `!${uriStartsWith(startsUnlisted)} || !self.uri.endsWith('/') || has(self.files)`,
    message: 'model.files is required with an http:// or https:// folder, which cannot be listed',
    fieldPath: '.files',
  });

export const executionSpec = {
  providers: k
    .list(k.object(providerSpec), bounds.providers)
    .rule({
      rule: 'self.all(p, self.exists_one(q, q.name == p.name))',
      message: 'execution.providers must not list a provider twice',
    })
    .doc(
      'Execution providers in order of preference. The first one should run the whole model; fallbackPolicy decides ' +
        'what happens when it does not.',
    )
    .defaultsTo('[{name: CPU}]'),
  fallbackPolicy: k
    .oneOf(['Forbid', 'Warn', 'Allow'])
    .doc(
      'What happens when the first provider cannot be used, or another one runs a part of the model. ' +
        'Forbid: the revision is not served. Warn and Allow: it is served, and condition ' +
        'ProvidersActive is False. Warn: condition ModelLoaded of a candidate reports it, too.',
    )
    .defaultsTo('Forbid'),
  precision: k
    .oneOf(precisions, ['Auto'])
    .doc(
      'The served file. Source: the model as it is. FP32, FP16, INT8 or INT4: the file of that precision in ' +
        'model.variants.',
    )
    .defaultsTo('Source'),
  graphOptimization: k
    .oneOf(['Disabled', 'Basic', 'Extended', 'All'])
    .doc('How far ONNX Runtime optimises the model: its graph optimisation level.')
    .defaultsTo('All'),
  profile: k
    .oneOf(['Throughput', 'Latency'])
    .doc(
      'The goal that sets the defaults of workers and threadsPerWorker. Throughput: one worker for ' +
        'each CPU core, at most 16. Latency: one worker with a thread for each core.',
    )
    .defaultsTo('Throughput'),
  workers: k
    .integer(bounds.workers)
    .doc(
      'How many runs the server does at the same time, each in an ONNX Runtime session with its own buffers; 1 to ' +
        '64. An explicit number is used even if the memory limit may be too low for it.',
    )
    .defaultsTo('by profile and CPU limit, but not more than fit into the memory limit'),
  threadsPerWorker: k
    .integer(bounds.threadsPerWorker)
    .doc('Threads that work on one run; 1 to 256.')
    .defaultsTo('CPU cores divided by workers, at least 1'),
  sessionConfig: k
    .map(optionValue(), bounds.sessionConfig)
    .doc(
      'Further entries of the session config, with the names and values of ONNX Runtime, such as ' +
        '"session.set_denormal_as_zero": "1". Absent: no further entries.',
    )
    .optional(),
};

const longestWait = formatDurationMs(bounds.waitMs.max);
const notLonger = (field: 'maxQueueDelay' | 'timeout'): CelRule => ({
  rule: `!has(self.${field}) || duration(self.${field}) <= duration('${longestWait}')`,
  message: `${field} must be at most ${longestWait}: check its unit`,
  messageExpression: `'${field} must be at most ${longestWait} (given: ' + self.${field} + '): check its unit'`,
  fieldPath: `.${field}`,
});

export const batchingSpec = {
  maxBatchSize: k
    .integer(bounds.maxBatchSize)
    .doc(
      'Maximum number of rows of a run: waiting requests are combined up to this number; 1 to 1024. 1: no batching. ' +
        'The runtime measures what rows gain from running together, and combines fewer where more gain nothing. ' +
        'Requests to a model whose rows may affect each other are never combined; /config of the runtime gives the ' +
        'reason.',
    )
    .defaultsTo('up to 32, as measured; 8 if nothing was measured'),
  maxQueueDelay: duration()
    .doc(
      'How long a request may wait in the queue to be batched with others, such as 5ms. 0ms: only ' +
        'requests that already wait are combined.',
    )
    .defaultsTo('0ms'),
  maxQueueDepth: k
    .integer(bounds.maxQueueDepth)
    .doc(
      'How many requests may wait for a run; 1 to 65536. When the queue is full, a request is ' +
        'answered with HTTP status 429.',
    )
    .defaultsTo('256'),
  clientHeader: k
    .string({ ...bounds.clientHeader, pattern: '^[A-Za-z][A-Za-z0-9-]*$' })
    .doc(
      'Name of the header that says which client sent a request, such as x-client-id. When requests of several ' +
        'clients wait, they take turns, and a client with many requests does not fill the queue for the others. ' +
        'Set it only where a gateway writes this header. Absent, or for requests without the header: the address of ' +
        'the client.',
    )
    .optional(),
  padDimensions: k.set(k.string({ max: 64 }), { max: 8 }).planned(),
  tiers: k
    .object({
      interactive: k.object({ deadline: duration() }).optional(),
      bulk: k.object({ deadline: duration() }).optional(),
    })
    .planned(),
};

const batching = k.object(batchingSpec).rule(notLonger('maxQueueDelay'));

const leastMemory = formatBytes(bounds.memoryLimitBytes.min);

export const memorySpec = {
  limit: quantity()
    .doc(
      'Memory request and limit of the runtime container, such as 2Gi; at least 64Mi. A model that ' +
        'does not fit fails to start, and the server refuses requests before it reaches the limit. ' +
        'Absent: the operator sets neither.',
    )
    .optional(),
  arena: k
    .oneOf(['Auto', 'On', 'Off'])
    .doc(
      'Whether ONNX Runtime keeps memory between runs in its arena, which never shrinks. Auto: on for inputs of ' +
        'fixed shape. For inputs of varying shape, it is on if that measurably saves CPU time and spec.memory.limit ' +
        'has room.',
    )
    .defaultsTo('Auto'),
  kvCache: quantity().planned(),
};

const memory = k
  .object(memorySpec)
  // Refuses tiny amounts: a common mistake is "512m", which is half a byte and not 512 MiB.
  .rule({
    rule: `!has(self.limit) || quantity(string(self.limit)).compareTo(quantity('${leastMemory}')) >= 0`,
    message: `memory.limit must be at least ${leastMemory}; write mebibytes as Mi, not m`,
    messageExpression:
      `'memory.limit must be at least ${leastMemory} (given: ' + string(self.limit) + '); ` +
      `write mebibytes as Mi, not m'`,
    fieldPath: '.limit',
  });

export const warmupSpec = {
  requests: k
    .integer(bounds.warmupRequests)
    .doc(
      'How many runs with generated inputs a pod does before it becomes ready, so that its first requests are not ' +
        'slower; 0 to 10000.',
    )
    .defaultsTo('5'),
  timeout: duration()
    .doc('How long the warm-up may take, such as 5m; above 0s. A pod whose warm-up takes longer fails.')
    .defaultsTo('5m'),
  inputsFrom: k.object({ configMapRef: configMapRef() }).planned(),
};

const warmup = k
  .object(warmupSpec)
  .rule({
    rule: "!has(self.timeout) || duration(self.timeout) > duration('0s')",
    message: 'warmup.timeout must be above 0s',
    fieldPath: '.timeout',
  })
  .rule(notLonger('timeout'));

/** Fields of the spec that are in the revision's hash. */
export const revisionFields = {
  model: model.doc('The source of the model, its files and its task.'),
  execution: k
    .object(executionSpec)
    .doc('How ONNX Runtime runs the model. Absent: every field has its default.')
    .optional(),
  batching: batching
    .doc('How waiting requests are combined into one run. Absent: every field has its default.')
    .optional(),
  memory: memory.doc('How much memory the runtime may use. Absent: the operator sets no limit.').optional(),
  resources: resourcesSchema
    .doc(
      'CPU, ephemeral storage and devices of the runtime container, as in a pod; the CPU limit also ' +
        'decides the number of workers and threads. Memory is spec.memory.limit. Absent: no requests and no limits.',
    )
    .optional(),
  warmup: warmup.doc('What a pod does before it becomes ready. Absent: every field has its default.').optional(),
  runtime: k
    .object({
      image: k
        .string({ max: 512, min: 1 })
        .doc(
          'Container image that all containers of the pods run. Its version must not be older than the ' +
            "operator's.",
        )
        .defaultsTo("the operator's default image at the time when the revision was made"),
      sidecar: k
        .object({
          resources: sidecarResourcesSchema
            .doc(
              'Requests and limits of the sidecar container. Default of each amount: requests of 10m CPU and 96Mi ' +
                'memory, limits of 500m CPU and 192Mi memory.',
            )
            .optional(),
        })
        .doc(
          'The container beside the runtime that counts requests, runs golden sets and reports to the ' + 'operator.',
        )
        .optional(),
    })
    .doc('The image of the pods, and the resources of their sidecar container.')
    .optional(),
  template: templateSchema
    .doc('Labels, annotations and scheduling of the pods. Absent: only what the operator sets.')
    .optional(),
};
