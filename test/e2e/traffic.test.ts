/** Two revisions share the traffic by the exact weights of a route, or by their numbers of pods. */
import { smallSpec } from './given.ts';
import { story } from './story.ts';
import type { World } from './world.ts';
import type { OnnxModelSpec } from '../../api/onnxmodel.ts';

/** A change that makes a new revision with the same answers, so that only the traffic is tested. */
const otherRevision = { batching: { maxBatchSize: 2 } };
const stepping: OnnxModelSpec['rollout'] = {
  strategy: 'Canary',
  steps: [{ weight: 20 }, { pause: {} }, { weight: 60 }, { pause: {} }, { weight: 100 }],
  capacity: { retainStable: '5s' },
};
const routed = smallSpec({ traffic: { router: 'HTTPRoute', parentRefs: [{ name: 'public' }] }, rollout: stepping });
const needsGateway = (world: World): string | undefined =>
  world.gatewayClass === undefined ? 'there is no accepted GatewayClass' : undefined;

describe('traffic', () => {
  story(
    'follows the exact weights of a route, up to promotion',
    async (given, when, then) => {
      await given.gateway('public');
      await given.servingModel('linear', routed);
      await when.clientsSend('linear');
      await when.specChanges('linear', otherRevision);
      await then.candidateGets('linear', 20);
      await when.routeIsChangedByOthers('linear');
      await then.driftIsPutBack('linear', [80, 20]);
      await when.pauseIsEnded('linear');
      await then.candidateGets('linear', 60);
      await when.pauseIsEnded('linear');
      await then.newRevisionServes('linear');
      await then.noRequestFailed();
    },
    needsGateway,
  );

  story(
    'returns to the stable revision through a Gateway at once',
    async (given, when, then) => {
      await given.gateway('public');
      await given.servingModel('linear', routed);
      await when.clientsSend('linear');
      await when.specChanges('linear', otherRevision);
      await then.candidateGets('linear', 20);
      await when.candidateIsAborted('linear');
      await then.onlyStableAnswers('linear');
      await then.noRequestFailed();
    },
    needsGateway,
  );

  story('is shared by ready pods without a Gateway', async (given, when, then) => {
    await given.servingModel(
      'linear',
      smallSpec({ replicas: 2, rollout: { ...stepping, steps: [{ weight: 50 }, { pause: {} }, { weight: 100 }] } }),
    );
    await when.clientsSend('linear');
    await when.specChanges('linear', otherRevision);
    await then.bothRevisionsAnswer('linear');
    await when.pauseIsEnded('linear');
    await then.newRevisionServes('linear');
    await then.noRequestFailed();
  });
});
