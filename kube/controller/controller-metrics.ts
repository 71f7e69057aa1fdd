/**
 * The controller_runtime_* metrics, under the names and labels that existing dashboards and alerts use.
 * Owns: counting. A pass is one run of the controller's work for one object; its result is decided in controller.ts.
 */
import type { Clock } from '../../lib/clock.ts';
import {
  counter,
  gauge,
  histogram,
  type Counter,
  type Gauge,
  type Histogram,
  type Registry,
} from '../../lib/metrics.ts';

/** `terminal` is an error that is not retried. It is counted as `error`, and also in a separate counter. */
export type Result = 'success' | 'error' | 'terminal' | 'requeue' | 'requeue_after';

const seconds = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.25, 1.5, 1.75, 2,
  2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9, 10, 15, 20, 25, 30, 40, 50, 60,
];

export class ControllerMetrics {
  readonly #controller: string;
  readonly #total: Counter<'controller' | 'result'>;
  readonly #errors: Counter<'controller'>;
  readonly #terminal: Counter<'controller'>;
  readonly #panics: Counter<'controller'>;
  readonly #timeouts: Counter<'controller'>;
  readonly #durations: Histogram<'controller'>;
  readonly #active: Gauge<'controller'>;

  constructor(registry: Registry, controller: string, workers: number) {
    this.#controller = controller;
    const labels = ['controller'] as const;
    const named = { controller };
    this.#total = counter(registry, {
      name: 'controller_runtime_reconcile_total',
      help: 'Total number of reconciliations per controller',
      labels: ['controller', 'result'],
    });
    this.#errors = counter(registry, {
      name: 'controller_runtime_reconcile_errors_total',
      help: 'Total number of reconciliation errors per controller',
      labels,
    });
    this.#terminal = counter(registry, {
      name: 'controller_runtime_terminal_reconcile_errors_total',
      help: 'Total number of terminal reconciliation errors per controller',
      labels,
    });
    this.#panics = counter(registry, {
      name: 'controller_runtime_reconcile_panics_total',
      help: 'Total number of reconciliation panics per controller',
      labels,
    });
    this.#timeouts = counter(registry, {
      name: 'controller_runtime_reconcile_timeouts_total',
      help: 'Total number of reconciliation timeouts per controller',
      labels,
    });
    this.#durations = histogram(registry, {
      name: 'controller_runtime_reconcile_time_seconds',
      help: 'Length of time per reconciliation per controller',
      labels,
      buckets: seconds,
    });
    this.#active = gauge(registry, {
      name: 'controller_runtime_active_workers',
      help: 'Number of currently used workers per controller',
      labels,
    });
    gauge(registry, {
      name: 'controller_runtime_max_concurrent_reconciles',
      help: 'Maximum number of concurrent reconciles per controller',
      labels,
    }).set(named, workers);
    // Create every series at the start. If a series appeared with its first error, a rate would miss that error.
    this.#active.set(named, 0);
    for (const metric of [this.#errors, this.#terminal, this.#panics, this.#timeouts]) metric.inc(named, 0);
    for (const result of ['success', 'error', 'requeue', 'requeue_after']) this.#total.inc({ controller, result }, 0);
  }

  /** Call this method when a pass begins; call the returned function with the result when the pass ends. */
  began(clock: Clock): (result: Result) => void {
    const named = { controller: this.#controller };
    const at = clock.monotonic();
    this.#active.inc(named);
    return (result) => {
      this.#active.dec(named);
      this.#durations.observe(named, (clock.monotonic() - at) / 1000);
      this.#total.inc({ ...named, result: result === 'terminal' ? 'error' : result });
      if (result === 'error' || result === 'terminal') this.#errors.inc(named);
      if (result === 'terminal') this.#terminal.inc(named);
    };
  }

  panicked(): void {
    this.#panics.inc({ controller: this.#controller });
  }

  timedOut(): void {
    this.#timeouts.inc({ controller: this.#controller });
  }
}
