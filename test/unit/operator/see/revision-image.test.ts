/** Which image a revision runs after the operator's default image has changed. */
import assert from 'node:assert/strict';
import { withDefaults } from '../../../../api/defaults.ts';
import type { RevisionSpec } from '../../../../api/onnxmodel.ts';
import type { PodTemplateManifest, RevisionRecord } from '../../../../operator/resources/objects.ts';
import { withImageInForce, type ImageFacts } from '../../../../operator/see/revision-image.ts';
import type { RolloutState } from '../../../../operator/rollout/state.ts';

const revision = 'aaaaaaaaaa';
const other = 'bbbbbbbbbb';
const template = { metadata: { labels: {} }, spec: {} } as unknown as PodTemplateManifest;

function recordOf(written: RevisionSpec): RevisionRecord {
  return { revision, generation: 1, written, spec: withDefaults(written, 'runtime:1'), template };
}

const plain = recordOf({ model: { uri: 'https://models.example/m' } });
const named = recordOf({ model: { uri: 'https://models.example/m' }, runtime: { image: 'mine:1' } });
const course = { stable: other, candidate: revision, attempt: 1, floor: 1, since: 0 };
const place = { ...course, step: 0, weight: 5 };
const refusal = { rejected: revision, cause: 'GoldenFailed', detail: '', attempt: 1, since: 0 } as const;
const preparing: RolloutState = { phase: 'Preparing', ...course };

// prettier-ignore
const rows: readonly { name: string; record?: RevisionRecord; facts?: Partial<ImageFacts>; image: string }[] = [
  { name: 'takes the new image before its first ready pod', image: 'runtime:2' },
  { name: 'takes the new image as the first revision', image: 'runtime:2',
    facts: { state: { phase: 'Preparing', ...course, stable: null } } },
  { name: 'takes the new image after it was given up', image: 'runtime:2',
    facts: { state: { phase: 'Failed', stable: other, ...refusal } } },
  { name: 'takes the new image although another revision is stable', image: 'runtime:2',
    facts: { state: { phase: 'Stable', stable: other } } },
  { name: 'keeps its image with a ready pod', image: 'runtime:1', facts: { isReady: true } },
  { name: 'keeps its image as stable', image: 'runtime:1', facts: { state: { phase: 'Stable', stable: revision } } },
  { name: 'keeps its image as stable of a rollout', image: 'runtime:1',
    facts: { state: { ...preparing, stable: revision, candidate: other } } },
  { name: 'keeps its image as a retiring revision', image: 'runtime:1',
    facts: { state: { phase: 'Settling', stable: other, retiring: revision, since: 0 } } },
  { name: 'keeps its image while its weight moves', image: 'runtime:1',
    facts: { state: { phase: 'Shifting', ...place, set: 0 } } },
  { name: 'keeps its image while it is judged', image: 'runtime:1',
    facts: { state: { phase: 'Analyzing', ...place, window: 1 } } },
  { name: 'keeps its image in a pause', image: 'runtime:1',
    facts: { state: { phase: 'Paused', ...place, window: 1, why: 'Step' } } },
  { name: 'keeps its image while its traffic is taken back', image: 'runtime:1',
    facts: { state: { phase: 'Aborting', ...refusal, stable: other } } },
  { name: 'keeps its image after a promotion in the history', image: 'runtime:1',
    facts: { provenance: { [revision]: 'GatesPassed' } } },
  { name: 'keeps the image that the spec names', record: named, image: 'mine:1' },
];

describe('a revision, after the default image of the operator has changed,', () => {
  for (const { name, record = plain, facts = {}, image } of rows) {
    it(name, () => {
      const found = withImageInForce(record, {
        state: preparing,
        provenance: {},
        isReady: false,
        defaultImage: 'runtime:2',
        ...facts,
      });
      assert.equal(found.spec.runtime.image, image);
      // The template is kept with the image that it names, and made again with another one.
      assert.equal(found.template, image === 'runtime:2' ? undefined : template);
    });
  }
});
