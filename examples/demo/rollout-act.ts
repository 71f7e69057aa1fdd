/**
 * The main act: a changed spec is rolled out or rejected while a client keeps sending requests.
 * Owns: what is printed about a rollout, and its expected end. All facts are read from the status.
 */
import type { OnnxModel, RolloutOutcome } from '../../api/onnxmodel.ts';
import { applyFile, DemoFailure, type Stage } from './acts.ts';
import { isSettled, whyStalled } from './progress.ts';

export type Ending = Pick<RolloutOutcome, 'outcome'> & { readonly reason?: string };

/**
 * The time limit of a rollout. It covers the start of a pod on two busy cores, a step of three minutes, and the time
 * between them.
 */
const endsWithinMs = 300_000;
const lookEveryMs = 250;
/**
 * When a sentence differs from an earlier sentence only in its numbers, it is printed again after this many
 * milliseconds.
 */
const tellAgainMs = 10_000;

/**
 * Applies a manifest, and prints the progress of the new revision until the rollout has ended.
 *
 * @param wanted the expected end
 * @returns the rollout's entry in the history of the status
 */
export async function rollOut(stage: Stage, file: string, wanted: Ending): Promise<RolloutOutcome> {
  const { metadata, status } = await applyFile(stage, file);
  const before = status?.history?.[0];
  const teller = new Teller(stage);
  const endMs = stage.clock.monotonic() + endsWithinMs;
  for (;;) {
    stage.stop.throwIfAborted();
    const model = await stage.cluster.read(metadata.name);
    teller.tell(model);
    const ended = endOf(model, before);
    if (ended !== undefined) return check(stage, ended, wanted);
    if (stage.clock.monotonic() > endMs)
      throw new DemoFailure(
        `the rollout of ${file} is not decided after ${endsWithinMs / 1000} s: ${model.status?.message ?? 'no status'}`,
      );
    await stage.clock.sleep(lookEveryMs, stage.stop);
  }
}

/** The new entry of the history, when the rollout has ended; undefined before that. */
function endOf(model: OnnxModel, before: RolloutOutcome | undefined): RolloutOutcome | undefined {
  const latest = model.status?.history?.[0];
  const isNew = latest !== undefined && (latest.at !== before?.at || latest.revision !== before.revision);
  return isNew && (isSettled(model) || whyStalled(model) !== undefined) ? latest : undefined;
}

function check({ say }: Stage, ended: RolloutOutcome, wanted: Ending): RolloutOutcome {
  say(`  => ${decisionText(ended)}`);
  if (ended.outcome === wanted.outcome && (wanted.reason === undefined || ended.reason === wanted.reason)) return ended;
  throw new DemoFailure(
    `revision ${ended.revision} was to end as ${wanted.outcome} ${wanted.reason ?? ''}, not as ${ended.outcome} ` +
      `(${ended.reason})`,
  );
}

/** One decision in one line, with its numbers. */
export function decisionText({ revision, outcome, reason, message, gates = [] }: RolloutOutcome): string {
  const verdicts = gates.map(
    ({ name, verdict, estimate = '?', limit = '?', candidateRequests = 0 }) =>
      `${name} ${verdict} (${estimate}, allowed ${limit}, ${candidateRequests} requests)`,
  );
  return [
    `${revision} ${outcome} (${reason})`,
    ...(message === undefined ? [] : [message]),
    ...(verdicts.length === 0 ? [] : [verdicts.join('; ')]),
  ].join(': ');
}

/**
 * Prints each new sentence of the status. When a sentence differs only in its numbers from an earlier sentence, it is
 * printed at most once in `tellAgainMs`.
 */
class Teller {
  readonly #stage: Stage;
  #text = '';
  #saidAtMs = -Infinity;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  tell({ metadata, status }: OnnxModel): void {
    if (status === undefined || status.observedGeneration !== metadata.generation) return;
    const text = `${status.phase ?? ''}${weightText(status)}: ${status.message ?? ''}`;
    if (text !== this.#text && this.#isNews(text)) {
      this.#stage.say(`  ${text}`);
      this.#text = text;
      this.#saidAtMs = this.#stage.clock.monotonic();
    }
  }

  #isNews(text: string): boolean {
    const isOfAnotherShape = shapeOf(text) !== shapeOf(this.#text);
    return isOfAnotherShape || this.#stage.clock.monotonic() - this.#saidAtMs >= tellAgainMs;
  }
}

function shapeOf(text: string): string {
  return text.replaceAll(/[0-9.,]+/g, '#');
}

function weightText({ rollout }: NonNullable<OnnxModel['status']>): string {
  return rollout?.desiredWeight === undefined ? '' : ` ${rollout.actualWeight ?? '?'}% of ${rollout.desiredWeight}%`;
}
