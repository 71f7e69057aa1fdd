/**
 * The operator gives up a revision that cannot serve. The serving revision is not affected, and the status gives the
 * reason.
 */
import type { OnnxModelSpec } from '../../api/onnxmodel.ts';
import { story } from './story.ts';
import { claimName } from './target.ts';

type Row = {
  readonly name: string;
  readonly change: Partial<OnnxModelSpec>;
  readonly reason: string | readonly string[];
  readonly words: RegExp;
};

/**
 * A short deadline for revisions with trouble that may be temporary. The operator gives up such a revision at the
 * deadline.
 */
const soon = { progressDeadline: '15s' };

// prettier-ignore
const rows: readonly Row[] = [
  { name: 'whose bytes do not match its digest',
    change: { model: { uri: `pvc://${claimName}/doubled/`,
      digest: `sha256:${'0'.repeat(64)}` } }, reason: 'DigestMismatch', words: /sha256:0{64}/ },
  { name: 'whose file is corrupt', change: { model: { uri: `pvc://${claimName}/broken/` } },
    reason: 'InvalidModel', words: /model\.onnx/ },
  { name: 'whose file is missing', change: { model: { uri: `pvc://${claimName}/nowhere/` },
      rollout: soon }, reason: 'SourceMissing', words: /nowhere/ },
  // The init container `prepare` runs the model once (the trial run), measures its memory and reports ModelTooLarge,
  // unless the kernel kills the trial run first.
  { name: 'that needs more than its limit in a trial', change: { model: { uri: `pvc://${claimName}/greedy/` } },
    reason: ['ModelTooLarge', 'OOMKilled'], words: /spec\.memory\.limit/ },
  // The inputs of this model have a fixed size, so `prepare` measures the memory of one worker only. The check before
  // the start does not count further workers, so the kernel kills the container.
  { name: 'that is killed for its memory', change: { execution: { workers: 64 },
      memory: { limit: '128Mi' } }, reason: 'OOMKilled', words: /spec\.memory\.limit/ },
  { name: 'whose image does not exist', change: { runtime: { image: 'localhost/no-such-image:1' },
      rollout: soon }, reason: 'ImagePullBackOff', words: /no-such-image/ },
  { name: 'that does not fit on any node', change: { template: { spec: { nodeSelector: { pool: 'nowhere' } } },
      rollout: soon }, reason: 'Unschedulable', words: /node/ },
];

describe('a revision', () => {
  for (const { name, change, reason, words } of rows) {
    story(`${name} does not affect stable`, async (given, when, then) => {
      await given.servingModel('linear');
      await when.clientsSend('linear');
      await when.specChanges('linear', change);
      await then.changeWasRefused('linear', reason, words);
      await then.noRequestFailed();
    });
  }

  story('that was given up is forgotten when the spec is restored', async (given, when, then) => {
    await given.servingModel('linear');
    const good = { model: { uri: `pvc://${claimName}/linear/` } };
    await when.specChanges('linear', { model: { uri: `pvc://${claimName}/broken/` } });
    await then.changeWasRefused('linear', 'InvalidModel', /model\.onnx/);
    await when.specChanges('linear', good);
    await then.isReady('linear');
  });
});
