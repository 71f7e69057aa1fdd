/**
 * Candidates (new revisions that get a part of the traffic) are promoted or rejected by what the gates measure, while
 * clients send requests. A gate limits one measure, such as the latency; its verdict is Pass, Fail or Undecided.
 */
import type { OnnxModelSpec } from '../../api/onnxmodel.ts';
import { smallSpec } from './given.ts';
import { story } from './story.ts';
import { claimName } from './target.ts';
import type { World } from './world.ts';

/** Enough time for a step of five minutes and a few pods on a machine with two busy cores. */
const judgedWithinMs = 420_000;

const canary: NonNullable<OnnxModelSpec['rollout']> = {
  strategy: 'Canary',
  // Require Pass, so that the step does not end undecided. NoFail would end the step after two minutes, when there may
  // be too few requests to find a slow candidate.
  steps: [{ weight: 50 }, { analyze: { require: 'Pass', maxDuration: '5m' } }, { weight: 100 }],
  // The limits are wide, because the latencies of two pods on two busy cores differ more than those of pods on separate
  // nodes.
  gates: {
    golden: { metric: 'Cosine', min: '0.999' },
    latency: [{ name: 'p95', quantile: '0.95', maxIncrease: '100%' }],
    errors: { maxIncrease: '1%' },
    confidence: 'Quick',
  },
  capacity: { retainStable: '2s' },
};

/** Clients send nothing. The candidate is judged only by golden inputs, which both revisions get. */
const shadow: NonNullable<OnnxModelSpec['rollout']> = {
  ...canary,
  steps: [{ shadow: { share: '50%', require: 'Pass', maxDuration: '20m' } }, { weight: 100 }],
  gates: {
    golden: { metric: 'Cosine', min: '0.999' },
    latency: [{ name: 'p95', quantile: '0.95', maxIncrease: '100%' }],
    confidence: 'Quick',
  },
};

/**
 * Skips a story on a cluster, because the story needs four minutes of probes (golden inputs that are sent to both
 * revisions). Local mode runs the same sidecars and the same operator.
 */
const inLocalModeAlone = ({ target }: World): string | undefined =>
  target.name === 'local mode' ? undefined : 'runs in local mode only';

describe('a canary', () => {
  story(
    'is judged in the shadow by golden inputs, without any request',
    async (given, when, then) => {
      await given.servingModel('linear', smallSpec({ rollout: shadow }));
      await when.specChanges('linear', { model: { uri: `pvc://${claimName}/sluggish/` } });
      await then.changeWasRefused(
        'linear',
        'LatencyGateFailed',
        /p95 fails: increase at least .*, from [0-9]+ paired probes/,
        judgedWithinMs,
      );
      await then.historySays('linear', 'Failed', { p95: 'Fail' });
    },
    inLocalModeAlone,
  );

  story(
    'is promoted, stopped for its answers, or rolled back for its latency, and no request fails',
    async (given, when, then) => {
      await given.servingModel('linear', smallSpec({ rollout: canary }));
      await when.clientsSend('linear');
      // Another warm-up of the same model makes a new revision that is as good as the previous one.
      await when.specChanges('linear', { warmup: { requests: 3 } });
      await then.newRevisionServes('linear', judgedWithinMs);
      await then.historySays('linear', 'Promoted', {});
      await when.specChanges('linear', { model: { uri: `pvc://${claimName}/garbled/` } });
      await then.changeWasRefused('linear', 'GoldenFailed', /golden/);
      await then.historySays('linear', 'Failed', {});
      await when.specChanges('linear', { model: { uri: `pvc://${claimName}/sluggish/` } });
      await then.changeWasRefused('linear', 'LatencyGateFailed', /p95/, judgedWithinMs);
      await then.historySays('linear', 'RolledBack', { p95: 'Fail' });
      await then.noRequestFailed();
    },
  );
});
