/**
 * The part of OnnxModel's spec that makes a revision: a change of any of these fields starts a rollout.
 *
 * Owns:  the shape, bounds and rules of model, execution, batching, memory, resources, warmup, runtime and
 *        template. What an absent field means is said here for readers and done by api/defaults.ts.
 */
import { bounds } from './bounds.ts';
import { k, type CelRule } from './schema-builder.ts';
import { quantityPattern } from './quantities.ts';
import { startsUnlisted, startsWithDigest, uriForms, uriPattern } from './sources.ts';
import { durationPattern, formatBytes, formatDurationMs } from './units.ts';

const digestPattern = '^sha256:[0-9a-f]{64}$';
/** Relative, no hidden files, no way out of the folder. */
const pathPattern = '^([A-Za-z0-9_@+-][A-Za-z0-9._@+-]*/)*[A-Za-z0-9_@+-][A-Za-z0-9._@+-]*$';
const dnsLabelPattern = '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$';

export const duration = (): ReturnType<typeof k.string> => k.string({ max: 32, pattern: durationPattern });
export const digest = (): ReturnType<typeof k.string> => k.string({ ...bounds.digest, pattern: digestPattern });
const path = (): ReturnType<typeof k.string> => k.string({ ...bounds.path, pattern: pathPattern });
const objectName = (): ReturnType<typeof k.string> => k.string({ max: 253, pattern: dnsLabelPattern });
const optionValue = (): ReturnType<typeof k.string> => k.string(bounds.optionValue);
const shortText = (): ReturnType<typeof k.string> => k.string({ max: 316 });
export const configMapRef = () => k.object({ name: objectName().doc('Name of a ConfigMap in the same namespace.') });

const precisions = ['FP32', 'FP16', 'INT8', 'INT4'] as const;
const providerNames = ['CPU', 'CUDA', 'TensorRT', 'WebGPU'] as const;

const provider = k.object({
  name: k.oneOf(providerNames).doc('As the image carries it; the default image has CPU.'),
  options: k
    .map(optionValue(), bounds.providerOptions)
    .doc('Options of the provider, as ONNX Runtime spells them.')
    .optional(),
});

const embedding = k.object({
  tokenizer: path()
    .doc(
      'Path of tokenizer.json in the source; tokenizer_config.json, sentence_bert_config.json, config.json and ' +
        '1_Pooling/config.json are read beside it where they are.',
    )
    .defaultsTo('tokenizer.json'),
  output: k
    .string(bounds.outputName)
    .doc('Name of the output tensor.')
    .defaultsTo('sentence_embedding where the graph has it, else its first output'),
  pooling: k
    .oneOf(['None', 'Mean', 'Cls', 'Last'])
    .doc('How [batch, sequence, hidden] becomes [batch, hidden]. None: the output is pooled already.')
    .defaultsTo('None for an output of rank 2; else what 1_Pooling/config.json says, else Mean'),
  normalize: k.boolean().doc('Whether vectors are scaled to length 1.').defaultsTo('true'),
  maxTokens: k
    .integer(bounds.maxTokens)
    .doc('Tokens of one text, special tokens included.')
    .defaultsTo(
      'max_seq_length of sentence_bert_config.json or model_max_length of tokenizer_config.json, at most the ' +
        'positions in config.json; 512 where none says',
    ),
  onTooLong: k.oneOf(['Truncate', 'Refuse']).doc('What happens to a longer text.').defaultsTo('Truncate'),
});

/** CEL: whether the uri begins with one of these. */
function uriStartsWith(starts: readonly string[]): string {
  const tests = starts.map((start) => `self.uri.startsWith('${start}')`);
  return tests.length === 1 ? (tests[0] ?? '') : `(${tests.join(' || ')})`;
}

const model = k
  .object({
    uri: k
      .string({ ...bounds.uri, pattern: uriPattern })
      .doc(`A file, or a folder when it ends with "/": ${uriForms}. Versions are exact.`),
    digest: digest()
      .doc(
        'SHA-256 of the file; of a folder, of its sorted lines "sha256  path". Absent: resolved once, by the ' +
          'first pod of the revision.',
      )
      .optional(),
    files: k
      .listMap('path', k.object({ path: path(), digest: digest() }), bounds.files)
      .doc('What a folder holds, for sources that cannot list it (https).')
      .optional(),
    variants: k
      .listMap('precision', k.object({ precision: k.oneOf(precisions), path: path() }), bounds.variants)
      .doc('Ready-made files of other precisions in the same folder.')
      .optional(),
    graphs: k
      .listMap(
        'name',
        k.object({ name: k.string({ max: 40, min: 1, pattern: dnsLabelPattern }), path: path() }),
        bounds.graphs,
      )
      .doc('The graph to serve: its path in a folder.')
      .defaultsTo('model.onnx'),
    task: k
      .oneOf(['Tensor', 'Embedding'], ['Transcription', 'Generation'])
      .doc('What the endpoint speaks: tensors (Open Inference Protocol), or also /v1/embeddings.')
      .defaultsTo('Tensor'),
    embedding: embedding.doc('How text becomes a vector; only with task Embedding.').optional(),
    schemaPolicy: k
      .oneOf(['Compatible', 'Exact', 'Any'])
      .doc(
        'What a new revision may change in what it takes and gives. Compatible: it takes all that stable takes, ' +
          'and gives all that stable gives. Exact: nothing. Any: everything.',
      )
      .defaultsTo('Compatible'),
    credentialsSecretRef: k.object({ name: objectName() }).planned(),
  })
  .rule({
    rule: `!${uriStartsWith(startsWithDigest)} || has(self.digest)`,
    message: 'an http:// source needs a digest, because anybody on the way could change it',
    fieldPath: '.digest',
  })
  .rule({
    rule: "!has(self.embedding) || (has(self.task) && self.task == 'Embedding')",
    message: 'embedding is only for task Embedding',
    fieldPath: '.embedding',
  })
  .rule({
    rule: "!(has(self.files) || has(self.variants) || has(self.graphs)) || self.uri.endsWith('/')",
    message: 'files, variants and graphs are paths in a folder: end the uri with "/"',
    fieldPath: '.uri',
  })
  .rule({
    rule: "!has(self.task) || self.task != 'Embedding' || self.uri.endsWith('/')",
    message: 'task Embedding needs a tokenizer beside the model: give a folder, a uri that ends with "/"',
    fieldPath: '.uri',
  })
  .rule({
    rule: `!${uriStartsWith(startsUnlisted)} || !self.uri.endsWith('/') || has(self.files)`,
    message: 'an https folder cannot be listed: name its files',
    fieldPath: '.files',
  });

const execution = k.object({
  providers: k
    .list(provider, bounds.providers)
    .rule({ rule: 'self.all(p, self.exists_one(q, q.name == p.name))', message: 'a provider is listed twice' })
    .doc('Execution providers in order of preference.')
    .defaultsTo('[{name: CPU}]'),
  fallbackPolicy: k
    .oneOf(['Forbid', 'Warn', 'Allow'])
    .doc(
      'When the first provider cannot be used or leaves nodes to another one: refuse to serve, serve and say so ' +
        'in ProvidersActive, or serve.',
    )
    .defaultsTo('Forbid'),
  precision: k
    .oneOf(['Source', ...precisions], ['Auto'])
    .doc('Source: the graph as it is; else the variant of that precision.')
    .defaultsTo('Source'),
  graphOptimization: k.oneOf(['Disabled', 'Basic', 'Extended', 'All']).doc("ONNX Runtime's level.").defaultsTo('All'),
  profile: k
    .oneOf(['Throughput', 'Latency'])
    .doc('Throughput: a worker for each core. Latency: one worker with a thread for each core.')
    .defaultsTo('Throughput'),
  workers: k.integer(bounds.workers).doc('Sessions that run at the same time.').defaultsTo('by profile and CPU limit'),
  threadsPerWorker: k
    .integer(bounds.threadsPerWorker)
    .doc('Threads inside one session.')
    .defaultsTo('by profile and CPU limit'),
  sessionConfig: k
    .map(optionValue(), bounds.sessionConfig)
    .doc('Session config entries of ONNX Runtime, e.g. "session.set_denormal_as_zero": "1".')
    .optional(),
});

const longestWait = formatDurationMs(bounds.waitMs.max);
const notLonger = (field: 'maxQueueDelay' | 'timeout'): CelRule => ({
  rule: `!has(self.${field}) || duration(self.${field}) <= duration('${longestWait}')`,
  message: `${field} must be at most ${longestWait}; check its unit`,
  fieldPath: `.${field}`,
});

const batching = k
  .object({
    maxBatchSize: k
      .integer(bounds.maxBatchSize)
      .doc(
        'Rows of one run. 1: no batching. A model whose rows could influence each other runs every request alone, ' +
          'whatever this says; `/config` of the runtime says why.',
      )
      .defaultsTo('8'),
    maxQueueDelay: duration()
      .doc('How long a request may wait for company. 0ms: batches only what waits already.')
      .defaultsTo('0ms'),
    maxQueueDepth: k
      .integer(bounds.maxQueueDepth)
      .doc('Requests that may wait; one more is answered with 429.')
      .defaultsTo('256'),
    padDimensions: k.set(k.string({ max: 64 }), { max: 8 }).planned(),
    tiers: k
      .object({
        interactive: k.object({ deadline: duration() }).optional(),
        bulk: k.object({ deadline: duration() }).optional(),
      })
      .planned(),
  })
  .rule(notLonger('maxQueueDelay'));

const leastMemory = formatBytes(bounds.memoryLimitBytes.min);
const quantity = () => k.intOrString(quantityPattern, { max: 32 });
const memory = k
  .object({
    limit: quantity()
      .doc('Request and limit of the runtime container. The server stays under it by refusing work.')
      .optional(),
    arena: k
      .oneOf(['Auto', 'On', 'Off'])
      .doc("ONNX Runtime's memory arena. Auto: off where input shapes vary, because it never shrinks.")
      .defaultsTo('Auto'),
    kvCache: quantity().planned(),
  })
  // "512m" is half a byte, and a common slip.
  .rule({
    rule: `!has(self.limit) || quantity(string(self.limit)).compareTo(quantity('${leastMemory}')) >= 0`,
    message: `a runtime needs ${leastMemory} at the least; megabytes are written Mi, not m`,
    fieldPath: '.limit',
  });

const noMemory = (field: 'requests' | 'limits') => ({
  rule: `!has(self.${field}) || !('memory' in self.${field})`,
  message: 'memory is set by spec.memory.limit',
  fieldPath: `.${field}`,
});
const amount = (of: 'requests' | 'limits'): string => `quantity(string(self.${of}[name]))`;
const isAbove = `name in self.limits && ${amount('requests')}.isGreaterThan(${amount('limits')})`;
const firstAbove =
  `self.requests.filter(name, ${isAbove}).map(name, name + ', ' + string(self.requests[name]) + ', is above its ` +
  `limit, ' + string(self.limits[name]))[0]`;

const isDevice = "(name.contains('/') || name.startsWith('hugepages-'))";
const isKnown = `(${isDevice} || name in ['cpu', 'memory', 'ephemeral-storage'])`;

/** What the API server would refuse later, for every pod of the revision. */
const requestsFit: readonly CelRule[] = [
  {
    rule: `!has(self.requests) || !has(self.limits) || !self.requests.exists(name, ${isAbove})`,
    messageExpression:
      `'the request of ' + ${firstAbove} + ': no pod could be made; lower resources.requests or raise ` +
      `resources.limits'`,
    message:
      'a request is above its limit, so no pod could be made: lower resources.requests or raise resources.limits',
    fieldPath: '.requests',
  },
  {
    rule:
      `!has(self.requests) || self.requests.all(name, !${isDevice} || (has(self.limits) && name in self.limits && ` +
      `${amount('requests')}.compareTo(${amount('limits')}) == 0))`,
    message:
      'devices (a name with "/") and hugepages cannot be overcommitted: give the request and the limit the same amount',
    fieldPath: '.requests',
  },
  {
    rule: `!has(self.limits) || self.limits.all(name, !${isDevice} || ${amount('limits')}.isInteger())`,
    message: 'devices (a name with "/") and hugepages are counted in whole numbers',
    fieldPath: '.limits',
  },
  ...(['requests', 'limits'] as const).map((field) => ({
    rule: `!has(self.${field}) || self.${field}.all(name, ${isKnown})`,
    message: 'a container has only cpu, memory, ephemeral-storage, hugepages-SIZE and devices (a name with "/")',
    fieldPath: `.${field}`,
  })),
];
const requirements = () =>
  k.object({ requests: k.map(quantity(), { max: 16 }).optional(), limits: k.map(quantity(), { max: 16 }).optional() });
const resources = requestsFit
  .reduce((schema, rule) => schema.rule(rule), requirements())
  .rule(noMemory('requests'))
  .rule(noMemory('limits'));

/** Its process alone has 51 MB of anonymous memory at rest; golden cases and samples come on top. */
const sidecarMemory = '96Mi';
const sidecarResources = requestsFit
  .reduce((schema, rule) => schema.rule(rule), requirements())
  .rule({
    rule:
      `!has(self.limits) || !('memory' in self.limits) || ` +
      `quantity(string(self.limits['memory'])).compareTo(quantity('${sidecarMemory}')) >= 0`,
    message: `the sidecar needs ${sidecarMemory} at the least`,
    fieldPath: '.limits',
  });

const warmup = k
  .object({
    requests: k
      .integer(bounds.warmupRequests)
      .doc('Requests that a pod answers itself before it is ready.')
      .defaultsTo('5'),
    timeout: duration().doc('A pod that is not warm by then fails.').defaultsTo('5m'),
    inputsFrom: k.object({ configMapRef: configMapRef() }).planned(),
  })
  .rule({
    rule: "!has(self.timeout) || duration(self.timeout) > duration('0s')",
    message: 'a pod needs time to warm up',
    fieldPath: '.timeout',
  })
  .rule(notLonger('timeout'));

const toleration = k.object({
  key: shortText().optional(),
  operator: k.oneOf(['Exists', 'Equal', 'Lt', 'Gt']).optional(),
  value: shortText().optional(),
  effect: k.oneOf(['NoSchedule', 'PreferNoSchedule', 'NoExecute']).optional(),
  tolerationSeconds: k.integer({ min: -1, max: 2147483647, format: 'int64' }).optional(),
});

const podMeta = k.object({
  labels: k.map(k.string({ max: 63 }), { max: 32 }).optional(),
  annotations: k.map(k.string({ max: 4096 }), { max: 32 }).optional(),
});
const podSpec = k.object({
  nodeSelector: k.map(k.string({ max: 63 }), { max: 32 }).optional(),
  tolerations: k.list(toleration, { max: 32 }).optional(),
  affinity: k.opaque().doc('As in a pod.').optional(),
  topologySpreadConstraints: k.list(k.opaque(), { max: 16 }).doc('As in a pod.').optional(),
  serviceAccountName: objectName().doc('Its token is not mounted.').optional(),
  imagePullSecrets: k.listMap('name', k.object({ name: objectName() }), { max: 16 }).optional(),
  priorityClassName: objectName().optional(),
});
const template = k.object({ metadata: podMeta.optional(), spec: podSpec.optional() }).rule({
  rule:
    '!has(self.metadata) || !has(self.metadata.labels) || !self.metadata.labels.exists(l, ' +
    "l.startsWith('onnx-operator.dev/'))",
  message: 'labels of onnx-operator.dev are set by the operator',
  fieldPath: '.metadata.labels',
});

/** Fields of the spec that are part of the revision's hash. */
export const revisionFields = {
  model: model.doc('Which model, and what it is for.'),
  execution: execution.doc('How ONNX Runtime runs it.').optional(),
  batching: batching.doc('How requests share a run.').optional(),
  memory: memory.doc('How much memory it may use.').optional(),
  resources: resources
    .doc('CPU and devices of the runtime container, as in a pod; memory is spec.memory.limit.')
    .optional(),
  warmup: warmup.doc('What a pod does before it is ready.').optional(),
  runtime: k
    .object({
      image: k
        .string({ max: 512, min: 1 })
        .doc('Image of the runtime; not older than the operator.')
        .defaultsTo("the operator's, frozen when the revision is made"),
      sidecar: k
        .object({
          resources: sidecarResources
            .doc(
              'Requests and limits of the sidecar container, each in place of its default: requests 10m CPU and ' +
                '96Mi, limits 500m CPU and 192Mi.',
            )
            .optional(),
        })
        .doc('The container that reports how the runtime is doing.')
        .optional(),
    })
    .doc('Which runtime serves it.')
    .optional(),
  template: template.doc('What else the pods should carry.').optional(),
};
