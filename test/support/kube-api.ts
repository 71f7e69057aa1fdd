/** Plain requests to the API server of a kubeconfig, for suites that need the raw answer, whatever its status is. */
import { AppError } from '../../api/errors.ts';
import { systemClock } from '../../lib/clock.ts';
import { createRegistry } from '../../lib/metrics.ts';
import { loadAccess } from '../../kube/client/access.ts';
import { statusOf } from '../../kube/client/kube-error.ts';
import { Transport, type ApiCall } from '../../kube/client/transport.ts';
import type { Api } from '../conformance/onnxmodel/suite.ts';

export async function openApi(kubeconfig: string): Promise<{ readonly api: Api; readonly close: () => Promise<void> }> {
  const access = await loadAccess({ kubeconfig }, systemClock);
  const transport = new Transport({ access, clock: systemClock, registry: createRegistry(), userAgent: 'conformance' });
  const api: Api = async (method, pathAndQuery, body, contentType) => {
    const [path = '', query = ''] = pathAndQuery.split('?');
    const call = {
      method,
      path,
      query: Object.fromEntries(new URLSearchParams(query)),
      ...(body === undefined ? {} : { body }),
      ...(contentType === undefined ? {} : { contentType }),
    } as ApiCall;
    try {
      return { status: method === 'POST' ? 201 : 200, body: (await transport.request(call)) as never };
    } catch (error) {
      const status = statusOf(error);
      if (status === undefined || !(error instanceof AppError)) throw error;
      return { status: status.status, body: { message: status.message } };
    }
  };
  return { api, close: () => transport.close() };
}
