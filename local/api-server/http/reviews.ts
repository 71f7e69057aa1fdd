/**
 * Reviews: requests that are answered and not stored. This server has one user, who may do everything.
 * Owns: the answers to `kubectl auth can-i` and `kubectl auth whoami`.
 */
import { parseBody } from '../decode.ts';
import { recordOf } from '../../../lib/json.ts';
import { methodNotAllowed } from '../status.ts';
import type { ApiExchange } from './exchange.ts';

export type Review = { readonly group: string; readonly kind: string; readonly plural: string };

export const reviews: readonly Review[] = [
  { group: 'authentication.k8s.io', kind: 'SelfSubjectReview', plural: 'selfsubjectreviews' },
  { group: 'authorization.k8s.io', kind: 'SelfSubjectAccessReview', plural: 'selfsubjectaccessreviews' },
  { group: 'authorization.k8s.io', kind: 'SelfSubjectRulesReview', plural: 'selfsubjectrulesreviews' },
  { group: 'authorization.k8s.io', kind: 'SubjectAccessReview', plural: 'subjectaccessreviews' },
];

const everything = {
  resourceRules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }],
  nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
  incomplete: false,
};

export async function answerReview(exchange: ApiExchange, review: Review): Promise<void> {
  if (exchange.method !== 'POST') throw methodNotAllowed();
  const asked = recordOf(parseBody(await exchange.readBody(), exchange.mediaType, review.kind).value);
  exchange.sendJson(201, {
    kind: review.kind,
    apiVersion: `${review.group}/v1`,
    metadata: {},
    ...(asked['spec'] === undefined ? {} : { spec: asked['spec'] }),
    status: statusOf(review.kind),
  });
}

function statusOf(kind: string): unknown {
  switch (kind) {
    case 'SelfSubjectReview':
      return { userInfo: { username: 'local', groups: ['system:masters', 'system:authenticated'] } };
    case 'SelfSubjectRulesReview':
      return everything;
    default:
      return { allowed: true };
  }
}
