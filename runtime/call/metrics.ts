/**
 * The runtime's Prometheus metrics.
 *
 * Owns:  the names, labels and buckets of the metrics. Label values come from closed sets. Gauges are read at each
 *        scrape.
 */
import { Counter, Gauge, Registry } from 'prom-client';
import type { OutcomeKind } from '../../api/outcomes.ts';
import { collectProcess } from '../../lib/metrics.ts';
import type { Batcher } from '../batching/batcher.ts';
import { protocolErrorBody } from './answer.ts';
import { BucketHistogram, type HistogramSeries } from './bucket-histogram.ts';
import { isInference, type Handler } from './handler.ts';
import type { AnsweredCall, Observer } from './observer.ts';
import { stages, type Stage } from './trace.ts';

/** Sources of the gauges, read at each scrape. */
export type Readings = {
  readonly queue: () => Batcher['queue'];
  readonly memory: () => { readonly limitBytes: number | null; readonly anonymousBytes: number };
  /** Whether sessions use ONNX Runtime's arena, and the thresholds of malloc; null when they are glibc's own. */
  readonly allocation: () => { readonly arena: boolean; readonly thresholdBytes: number | null };
  readonly workers: () => { readonly ready: number; readonly wanted: number };
  readonly loop: () => { readonly p50: number; readonly p99: number; readonly max: number };
  readonly connections: () => number;
  /** Bytes held by bodies and answers in transfer. */
  readonly transferBytes: () => number;
  readonly ready: () => boolean;
  /** Predicted milliseconds of runs, for the sizes that were measured. */
  readonly runCosts: () => readonly { readonly rows: number; readonly elements: number; readonly ms: number }[];
  readonly oldestRunMs: () => number;
  readonly runLimitMs: () => number;
};

type RequestLabels = { readonly route: string; readonly code: string; readonly kind: string };

const stageBuckets = [
  0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
];
/** Minimum length of the pieces in which the metrics' text is sent; the last piece may be shorter. */
const pieceCharacters = 16 * 1024;
const rowBuckets = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];

export class RuntimeMetrics implements Observer {
  readonly registry = new Registry();
  readonly #requests: Counter<'route' | 'code' | 'kind'>;
  readonly #stages: Readonly<Record<Stage, HistogramSeries>>;
  readonly #refused: Counter<'reason'>;
  readonly #firstByte: HistogramSeries;
  readonly #units: Counter;
  readonly #rows: HistogramSeries;
  /** Requests since the last scrape, by their labels. */
  readonly #fresh = new Map<string, { readonly labels: RequestLabels; count: number }>();
  readonly #fellApart: Counter;
  #readings: Readings | undefined;

  constructor(model: { readonly name: string; readonly revision: string }) {
    const registers = [this.registry];
    collectProcess(this.registry);
    this.registry.setDefaultLabels({ model: model.name, revision: model.revision });
    const countFresh = (): void => this.#countFresh();
    this.#requests = new Counter({
      name: 'onnx_runtime_requests_total',
      help: 'Requests answered, by route, HTTP status and kind of outcome ("" for a result).',
      labelNames: ['route', 'code', 'kind'],
      registers,
      collect: countFresh,
    });
    const stageSeconds = new BucketHistogram({
      name: 'onnx_runtime_request_stage_seconds',
      help: 'Time that inference requests spend in each stage: decode, queue, infer, encode.',
      buckets: stageBuckets,
      registry: this.registry,
    });
    const [decode, queue, infer, encode] = stages.map((stage) => stageSeconds.series({ stage }));
    this.#stages = { decode, queue, infer, encode } as Record<Stage, HistogramSeries>;
    this.#refused = new Counter({
      name: 'onnx_runtime_refused_total',
      help: 'Inference requests that ended without a result, by error code.',
      labelNames: ['reason'],
      registers,
    });
    this.#firstByte = new BucketHistogram({
      name: 'onnx_runtime_first_byte_seconds',
      help: 'Time to the first byte of streamed answers.',
      buckets: stageBuckets,
      registry: this.registry,
    }).series();
    this.#units = new Counter({
      name: 'onnx_runtime_output_units_total',
      help: 'Number of units in streamed answers, such as tokens; the task defines the unit.',
      registers,
    });
    this.#rows = new BucketHistogram({
      name: 'onnx_runtime_batch_rows',
      help: 'Rows per run.',
      buckets: rowBuckets,
      registry: this.registry,
    }).series();
    this.#fellApart = new Counter({
      name: 'onnx_runtime_batches_rerun_total',
      help: 'Batches that failed and whose requests were rerun one by one.',
      registers,
    });
    this.#runCosts(registers);
    this.#gauges(registers);
  }

  /** Sets the sources of the gauges; before this call, these gauges are 0. */
  readFrom(readings: Readings): void {
    this.#readings = readings;
  }

  answered(call: AnsweredCall): void {
    const { route, status, trace } = call;
    this.#count(route, status, kindOf(call));
    if (!isInference(route)) return;
    const { times } = trace;
    for (const stage of stages) {
      const ms = times[stage];
      if (ms !== undefined) this.#stages[stage].observe(ms / 1000);
    }
    const { firstByteMs, units } = trace;
    if (firstByteMs !== undefined) {
      this.#firstByte.observe(firstByteMs / 1000);
      this.#units.inc(units);
    }
    if (call.kind === 'Failed') this.#refused.inc({ reason: call.code });
    if (call.kind === 'Abandoned') this.#refused.inc({ reason: 'CLIENT_GONE' });
  }

  ran(rows: number): void {
    this.#rows.observe(rows);
  }

  fellApart(): void {
    this.#fellApart.inc();
  }

  #runCosts(registers: Registry[]): void {
    const readings = (): Readings | undefined => this.#readings;
    void new Gauge({
      name: 'onnx_runtime_run_cost_seconds',
      help: 'Predicted time of a run, by its rows and the input elements of one row, for the measured sizes.',
      labelNames: ['rows', 'elements'],
      registers,
      collect() {
        this.reset();
        for (const { rows, elements, ms } of readings()?.runCosts() ?? []) this.set({ rows, elements }, ms / 1000);
      },
    });
  }

  /** Counts until the next scrape only: prom-client takes microseconds to find a counter by its labels. */
  #count(route: string, status: number, kind: string): void {
    const key = `${route} ${status} ${kind}`;
    const fresh = this.#fresh.get(key);
    if (fresh === undefined) this.#fresh.set(key, { labels: { route, code: String(status), kind }, count: 1 });
    else fresh.count += 1;
  }

  #countFresh(): void {
    for (const fresh of this.#fresh.values()) {
      if (fresh.count > 0) this.#requests.inc(fresh.labels, fresh.count);
      fresh.count = 0;
    }
  }

  #gauges(registers: Registry[]): void {
    const gauge = (name: string, help: string, read: (readings: Readings) => number | null): void => {
      const readings = (): Readings | undefined => this.#readings;
      void new Gauge({
        name: `onnx_runtime_${name}`,
        help,
        registers,
        collect() {
          const now = readings();
          const value = now === undefined ? null : read(now);
          if (value !== null) this.set(value);
        },
      });
    };
    gauge('ready', '1 while the server is ready for requests.', (now) => Number(now.ready()));
    gauge('queue_depth', 'Requests that wait in the queue.', (now) => now.queue().depth);
    gauge('queue_rows', 'Rows of the requests that wait in the queue.', (now) => now.queue().rows);
    gauge('queue_bytes', 'Bytes of the inputs of the requests that wait in the queue.', (now) => now.queue().bytes);
    gauge('queue_oldest_seconds', 'Age of the oldest request in the queue.', (now) => now.queue().oldestMs / 1000);
    gauge('run_oldest_seconds', 'Age of the oldest active run; 0 without one.', (now) => now.oldestRunMs() / 1000);
    gauge('run_limit_seconds', 'Run time above which a run is treated as stuck.', (now) => now.runLimitMs() / 1000);
    gauge(
      'memory_anonymous_bytes',
      'Anonymous memory of the process; mapped weights are not included.',
      (now) => now.memory().anonymousBytes,
    );
    gauge(
      'memory_limit_bytes',
      'Memory limit of the process; +Inf without one.',
      (now) => now.memory().limitBytes ?? Infinity,
    );
    gauge('memory_arena', "1 while sessions use ONNX Runtime's arena.", (now) => Number(now.allocation().arena));
    gauge(
      'malloc_threshold_bytes',
      'Size from which malloc gets memory from the kernel and returns it.',
      (now) => now.allocation().thresholdBytes,
    );
    gauge('workers_ready', 'Workers with a loaded model.', (now) => now.workers().ready);
    gauge('workers_wanted', 'Configured number of workers.', (now) => now.workers().wanted);
    gauge(
      'event_loop_lag_p99_seconds',
      'Event loop delay of the HTTP thread, 99th percentile.',
      (now) => now.loop().p99 / 1000,
    );
    gauge(
      'event_loop_lag_max_seconds',
      'Event loop delay of the HTTP thread, maximum.',
      (now) => now.loop().max / 1000,
    );
    gauge('connections', 'Open client connections.', (now) => now.connections());
    gauge('transfer_bytes', 'Memory held by the bodies and answers of active requests.', (now) => now.transferBytes());
  }
}

/** The value of the label `kind`; "" for a request with a result. */
function kindOf(call: AnsweredCall): OutcomeKind | 'abandoned' | '' {
  if (call.kind === 'Failed') return call.outcome;
  return call.kind === 'Abandoned' ? 'abandoned' : '';
}

/** Streams the metrics, so a scrape with many series does not block the event loop or hold the whole text in memory. */
export function metricsHandler(registry: Registry): Handler {
  return {
    name: 'metadata',
    needsRoom: false,
    handle: () => ({ status: 200, contentType: registry.contentType, body: metricsText(registry) }),
    errorBody: protocolErrorBody,
  };
}

async function* metricsText(registry: Registry): AsyncGenerator<Uint8Array> {
  let [text, separator] = ['', ''];
  for (const { name } of registry.getMetricsAsArray()) {
    text += `${separator}${await registry.getSingleMetricAsString(name)}`;
    separator = '\n\n';
    if (text.length < pieceCharacters) continue;
    yield Buffer.from(text);
    text = '';
  }
  yield Buffer.from(`${text}\n`);
}
