/**
 * `GET …/pods/NAME/log`: a container's output, from the kubelet.
 *
 * Owns: choosing the container, the query, and streaming.
 * Ends: with the container, or when the client hangs up.
 */
import type { LogSource } from '../../objects.ts';
import type { Core } from '../core.ts';
import { at, recordsOf } from '../../../lib/json.ts';
import { badRequest, notFound } from '../status.ts';
import { keyOf } from '../store.ts';
import type { Exchange, Target } from './exchange.ts';
import { integerOf } from './read.ts';

export async function streamLog(core: Core, exchange: Exchange, target: Target, source: LogSource | undefined): Promise<void> {
  const { namespace = '', name = '' } = target;
  const pod = core.store.get('pods', keyOf(namespace, name));
  if (pod === undefined) throw notFound(target.resource, name);
  const names = (field: string): string[] => recordsOf(at(pod, 'spec', field)).map((one) => String(one['name']));
  const container = chooseContainer(exchange.query.get('container') ?? '', { pod: name, containers: names('containers'), inits: names('initContainers') });
  const gone = new AbortController();
  exchange.response.once('close', () => gone.abort());
  const tailLines = integerOf(exchange.query.get('tailLines') ?? '');
  const is = (flag: string): boolean => exchange.query.get(flag) === 'true';
  const lines = source?.read({ namespace, name }, { container, follow: is('follow'), previous: is('previous'), timestamps: is('timestamps'), signal: gone.signal, ...(tailLines === undefined ? {} : { tailLines }) });
  if (lines === undefined) {
    throw badRequest(is('previous') ? `previous terminated container ${JSON.stringify(container)} in pod ${JSON.stringify(name)} not found` : `container ${JSON.stringify(container)} in pod ${JSON.stringify(name)} is waiting to start: ContainerCreating`);
  }
  exchange.setCommonHeaders('text/plain');
  exchange.response.writeHead(200);
  exchange.response.flushHeaders();
  await pump(lines, exchange, gone.signal);
  exchange.response.end();
}

async function pump(lines: AsyncIterable<Uint8Array>, exchange: Exchange, gone: AbortSignal): Promise<void> {
  for await (const chunk of lines) {
    if (gone.aborted) return;
    // Waits for a slow reader, so that a long log is not held in memory.
    if (!exchange.response.write(chunk)) await new Promise<void>((resolve) => {
      const go = (): void => {
        exchange.response.off('drain', go);
        exchange.response.off('close', go);
        resolve();
      };
      exchange.response.once('drain', go);
      exchange.response.once('close', go);
    });
  }
}

function chooseContainer(asked: string, of: { pod: string; containers: readonly string[]; inits: readonly string[] }): string {
  const [only, ...others] = of.containers;
  if (asked === '' && only !== undefined && others.length === 0) return only;
  if (asked === '') {
    const inits = of.inits.length === 0 ? '' : ` or one of the init containers: [${of.inits.join(' ')}]`;
    throw badRequest(`a container name must be specified for pod ${of.pod}, choose one of: [${of.containers.join(' ')}]${inits}`);
  }
  if ([...of.containers, ...of.inits].includes(asked)) return asked;
  throw badRequest(`container ${asked} is not valid for pod ${of.pod}`);
}
