/** A model is served, changed and deleted. */
import { exampleSpec, smallSpec } from './given.ts';
import { embeddings, tensors } from './conversations.ts';
import { story } from './story.ts';
import { claimName } from './target.ts';

describe('a model', () => {
  story('is served from a claim, and its status shows what runs', async (given, _when, then) => {
    await given.servingModel('linear', smallSpec({ replicas: 2 }));
    await then.answers('linear', tensors('linear'));
    await then.statusShowsWhatRuns('linear', { provider: 'CPU', precision: 'Source' });
  });

  story(
    "is the example's sentence encoder, which changes to its new YAML without a failed request",
    async (given, when, then) => {
      await given.servingModel('minilm', await exampleSpec('minilm.yaml'));
      await then.answers('minilm', embeddings('minilm'));
      await then.statusShowsWhatRuns('minilm', { provider: 'CPU', precision: 'Source' });
      await when.clientsSend('minilm', embeddings('minilm'));
      await when.specChanges('minilm', await exampleSpec('minilm-changed.yaml'));
      await then.newRevisionServes('minilm');
      await then.noRequestFailed();
    },
    (world) => (world.hasMiniLm ? undefined : 'no example models: npm run models -- DIR, and ONNX_E2E_MODELS=DIR'),
  );

  story('changes to a new spec without a failed request', async (given, when, then) => {
    await given.servingModel('linear');
    await when.clientsSend('linear');
    await when.specChanges('linear', { model: { uri: `pvc://${claimName}/doubled/` } });
    await then.newRevisionServes('linear');
    await then.noRequestFailed();
  });

  story('leaves no objects when it is deleted', async (given, when, then) => {
    await given.servingModel('linear');
    await when.modelIsDeleted('linear');
    await then.nothingIsLeft('linear');
  });

  story('is served by new pods while the operator is down', async (given, when, then) => {
    await given.servingModel('linear', smallSpec({ replicas: 2 }));
    await when.operatorStops();
    const deleted = await when.everyPodIsDeleted('linear');
    await then.successorsAreReady('linear', deleted);
    await then.answers('linear', tensors('linear'));
    when.operatorStarts();
    await then.isReady('linear');
  });

  story('completes a change although the operator dies in the middle of it', async (given, when, then) => {
    await given.servingModel('linear');
    await when.clientsSend('linear');
    await when.specChanges('linear', { model: { uri: `pvc://${claimName}/doubled/` } });
    await when.operatorIsKilledMidway('linear');
    when.operatorStarts();
    await then.newRevisionServes('linear');
    await then.noRequestFailed();
  });

  story('answers 10,000 requests across five changes', async (given, when, then) => {
    await given.servingModel('linear', smallSpec({ replicas: 2 }));
    await when.clientsSend('linear');
    for (const change of [
      { model: { uri: `pvc://${claimName}/doubled/` } },
      { batching: { maxBatchSize: 2 } },
      { memory: { limit: '352Mi' } },
      { model: { uri: `pvc://${claimName}/linear/` }, warmup: { requests: 3 } },
      { execution: { profile: 'Latency' as const } },
    ]) {
      await when.specChanges('linear', change);
      await then.newRevisionServes('linear');
    }
    await when.requestsWereAnswered(10_000);
    await then.noRequestFailed(10_000);
  });
});
