/**
 * Runs the probes of one running container.
 * Owns: the timers. The startup probe runs alone until it passes; then the readiness and liveness probes run at the
 * same time.
 * Ends: after `close`, no probe runs, and a result that arrives later is dropped.
 */
import type { Clock } from '../../lib/clock.ts';
import type { Container, Probe } from './pod.ts';
import type { ProbeAnswer } from './probe-container.ts';
import { countAnswer, firstProbeInMs, initialProbeState, timingOf, type ProbeKind } from './probe-state.ts';

export type ContainerProberDeps = {
  readonly clock: Clock;
  readonly ask: (probe: Probe, timeoutMs: number) => Promise<ProbeAnswer>;
  /** Called when the state has changed. */
  readonly onChange: (state: { readonly started: boolean; readonly ready: boolean }) => void;
  /** Called for each failed probe. */
  readonly onUnhealthy: (kind: ProbeKind, why: string) => void;
  /** Called when a probe requires that the container is stopped. */
  readonly onGaveUp: (kind: ProbeKind, probe: Probe) => void;
};

export class Prober {
  readonly #container: Container;
  readonly #deps: ContainerProberDeps;
  readonly #startedAt: number;
  readonly #timers = new Map<ProbeKind, () => void>();
  #closed = false;
  #started: boolean;
  #ready: boolean;

  /**
   * Call it right after the container's start. The first state is in `started` and `ready`; onChange is not called for
   * the first state.
   */
  constructor(container: Container, deps: ContainerProberDeps) {
    this.#container = container;
    this.#deps = deps;
    this.#startedAt = deps.clock.monotonic();
    this.#started = container.startupProbe === undefined;
    this.#ready = this.#started && container.readinessProbe === undefined;
    if (container.startupProbe !== undefined) this.#begin('startup', container.startupProbe);
    else this.#afterStartup();
  }

  get started(): boolean {
    return this.#started;
  }

  get ready(): boolean {
    return this.#ready;
  }

  close(): void {
    this.#closed = true;
    for (const stop of this.#timers.values()) stop();
  }

  #afterStartup(): void {
    const { readinessProbe, livenessProbe } = this.#container;
    if (readinessProbe !== undefined) this.#begin('readiness', readinessProbe);
    if (livenessProbe !== undefined) this.#begin('liveness', livenessProbe);
  }

  #begin(kind: ProbeKind, probe: Probe): void {
    const timing = timingOf(kind, probe);
    let state = initialProbeState(kind);
    const round = async (): Promise<void> => {
      const askedAt = this.#deps.clock.monotonic();
      const answer = await this.#deps.ask(probe, timing.timeoutMs);
      if (this.#closed) return;
      if (!answer.passed) this.#deps.onUnhealthy(kind, answer.why);
      const { gaveUp, ...next } = countAnswer(kind, state, answer.passed, timing);
      state = next;
      if (gaveUp) return this.#deps.onGaveUp(kind, probe);
      this.#heed(kind, next.passing);
      if (kind === 'startup' && next.passing) return;
      // A period is the time between the starts of two probes, as with Go's ticker.
      schedule(Math.max(0, timing.periodMs - (this.#deps.clock.monotonic() - askedAt)));
    };
    const schedule = (inMs: number): void => {
      if (!this.#closed)
        this.#timers.set(
          kind,
          this.#deps.clock.after(inMs, () => void round()),
        );
    };
    schedule(firstProbeInMs(timing, this.#deps.clock.monotonic() - this.#startedAt));
  }

  #heed(kind: ProbeKind, passing: boolean): void {
    if (kind === 'liveness') return;
    const before = { started: this.#started, ready: this.#ready };
    if (kind === 'startup') {
      this.#started = passing;
      this.#ready = passing && this.#container.readinessProbe === undefined;
      if (passing) this.#afterStartup();
    } else {
      this.#ready = passing;
    }
    if (before.started !== this.#started || before.ready !== this.#ready)
      this.#deps.onChange({ started: this.#started, ready: this.#ready });
  }
}
