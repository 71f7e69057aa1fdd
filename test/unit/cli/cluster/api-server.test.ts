/** Which errors of the API server end a command of kubectl-onnx, although the operator retries after them. */
import assert from 'node:assert/strict';
import type { ErrorKind } from '../../../../api/error-kinds.ts';
import { AppError } from '../../../../api/errors.ts';
import { asUser, type UserClient } from '../../../../cli/cluster/api-server.ts';
import { statusError } from '../../../../kube/client/kube-error.ts';
import { onnxModels } from '../../../../kube/kinds.ts';

const refused = (status: number, reason: string): AppError => statusError({ status, reason, message: 'no' });

/** A client whose every call fails. */
function failing(error: AppError): UserClient {
  const fail = (): Promise<never> => Promise.reject(error);
  return {
    list: fail,
    mergePatch: fail,
    jsonPatch: fail,
    // eslint-disable-next-line require-yield
    watch: async function* () {
      throw error;
    },
  };
}

describe('for a user of the command line', () => {
  // prettier-ignore
  const rows: readonly (readonly [sentence: string, error: AppError, kind: ErrorKind])[] = [
    ['a missing permission is invalid', refused(403, 'Forbidden'), 'invalid'],
    ['refused credentials are invalid', refused(401, 'Unauthorized'), 'invalid'],
    ['credentials that cannot be created are invalid',
      new AppError('BAD_CONFIG', { where: 'kubeconfig', problem: 'no credentials' }, { kind: 'transient' }), 'invalid'],
    ['a conflict stays a conflict', refused(409, 'Conflict'), 'conflict'],
    ['an unavailable server is transient', refused(503, 'ServiceUnavailable'), 'transient'],
    ['an unreachable server is transient', new AppError('KUBE_UNREACHABLE', { server: 'x', why: 'y' }), 'transient'],
  ];
  for (const [sentence, error, kind] of rows) {
    it(sentence, async () => {
      const client = asUser(failing(error));
      const same = { code: error.code, message: error.message, kind };
      await assert.rejects(client.list(onnxModels, {}), same);
      await assert.rejects(client.mergePatch(onnxModels, { name: 'm' }, {}), same);
      await assert.rejects(client.jsonPatch(onnxModels, { name: 'm' }, []), same);
      const watch = client.watch(onnxModels, { resourceVersion: '1', timeoutSeconds: 1 }, new AbortController().signal);
      await assert.rejects(Array.fromAsync(watch), same);
    });
  }
});
