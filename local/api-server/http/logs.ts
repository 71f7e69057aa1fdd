/**
 * `GET …/pods/NAME/log`: a container's output, from the kubelet.
 * Owns: choosing the container, the query parameters, and streaming.
 * Ends: at the end of the stored log; with `follow`, when the container ends. It also ends at `limitBytes` and when the
 * client disconnects.
 */
import type { LogSource } from '../../objects.ts';
import type { ApiDeps } from '../core.ts';
import { present } from '../../../api/present.ts';
import { at, recordsOf } from '../../../lib/json.ts';
import { forbiddenValue, invalidValue, type Cause } from '../../../kube/schema/cause.ts';
import { badRequest, invalidObject, notFound } from '../status.ts';
import { storeKeyOf } from '../store.ts';
import type { ApiExchange, Target } from './exchange.ts';
import { integerOf } from './read.ts';

export async function streamLog(
  deps: ApiDeps,
  exchange: ApiExchange,
  target: Target,
  source: LogSource | undefined,
): Promise<void> {
  const { namespace = '', name = '' } = target;
  const pod = deps.store.get('pods', storeKeyOf(namespace, name));
  if (pod === undefined) throw notFound(target.resource, name);
  const names = (field: string): string[] => recordsOf(at(pod, 'spec', field)).map((one) => String(one['name']));
  const container = chooseContainer(exchange.query.get('container') ?? '', {
    pod: name,
    containers: names('containers'),
    inits: names('initContainers'),
  });
  const bounds = boundsOf(exchange, name, deps.clock.now());
  const gone = new AbortController();
  exchange.response.once('close', () => gone.abort());
  const is = (flag: string): boolean => exchange.query.get(flag) === 'true';
  const lines = source?.read(
    { namespace, name },
    {
      container,
      follow: is('follow'),
      previous: is('previous'),
      timestamps: is('timestamps'),
      signal: gone.signal,
      ...present({ tailLines: bounds.tailLines, sinceMs: bounds.sinceMs }),
    },
  );
  if (lines === undefined) {
    throw badRequest(
      is('previous')
        ? `previous terminated container ${JSON.stringify(container)} in pod ${JSON.stringify(name)} not found`
        : `container ${JSON.stringify(container)} in pod ${JSON.stringify(name)} is waiting to start: ` +
            'ContainerCreating',
    );
  }
  exchange.setCommonHeaders('text/plain');
  exchange.response.writeHead(200);
  exchange.response.flushHeaders();
  await pump(limited(lines, bounds.limitBytes), exchange, gone.signal);
  exchange.response.end();
}

type Bounds = {
  readonly tailLines: number | undefined;
  readonly sinceMs: number | undefined;
  readonly limitBytes: number;
};

/** @throws StatusError 400 when a parameter is not a number, 422 when the number is out of range */
function boundsOf(exchange: ApiExchange, pod: string, nowMs: number): Bounds {
  const asked = (name: string): string => exchange.query.get(name) ?? '';
  const [tailLines, seconds, limitBytes] = [
    integerOf(asked('tailLines')),
    integerOf(asked('sinceSeconds')),
    integerOf(asked('limitBytes')),
  ];
  const time = timeOf(asked('sinceTime'));
  const causes: Cause[] = [
    ...tooLow('tailLines', tailLines, 0, 'must be greater than or equal to 0'),
    ...tooLow('limitBytes', limitBytes, 1, 'must be greater than 0'),
    ...tooLow('sinceSeconds', seconds, 1, 'must be greater than 0'),
    ...(seconds !== undefined && time !== undefined
      ? [forbiddenValue('[]', 'at most one of `sinceTime` or `sinceSeconds` may be specified')]
      : []),
  ];
  if (causes.length > 0) throw invalidObject({ group: '', plural: '', kind: 'PodLogOptions' }, pod, causes);
  return {
    tailLines,
    sinceMs: seconds === undefined ? time : nowMs - seconds * 1000,
    limitBytes: limitBytes ?? Number.POSITIVE_INFINITY,
  };
}

function tooLow(field: string, value: number | undefined, least: number, why: string): Cause[] {
  return value === undefined || value >= least ? [] : [invalidValue(field, value, why)];
}

/** @returns milliseconds since the epoch; undefined when the text is absent */
function timeOf(text: string): number | undefined {
  if (text === '') return undefined;
  const ms = Date.parse(text);
  if (Number.isNaN(ms))
    throw badRequest(
      `parsing time ${JSON.stringify(text)} as "2006-01-02T15:04:05Z07:00": cannot parse ${JSON.stringify(text)} ` +
        'as "2006"',
    );
  return ms;
}

async function* limited(chunks: AsyncIterable<Uint8Array>, limitBytes: number): AsyncGenerator<Uint8Array> {
  let left = limitBytes;
  for await (const chunk of chunks) {
    yield chunk.subarray(0, left);
    left -= chunk.byteLength;
    if (left <= 0) return;
  }
}

async function pump(lines: AsyncIterable<Uint8Array>, exchange: ApiExchange, gone: AbortSignal): Promise<void> {
  for await (const chunk of lines) {
    if (gone.aborted) return;
    // Wait when the client reads slowly, so that a long log is not held in memory.
    if (!exchange.response.write(chunk))
      await new Promise<void>((resolve) => {
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

function chooseContainer(
  asked: string,
  of: { pod: string; containers: readonly string[]; inits: readonly string[] },
): string {
  const [only, ...others] = of.containers;
  if (asked === '' && only !== undefined && others.length === 0) return only;
  if (asked === '') {
    const inits = of.inits.length === 0 ? '' : ` or one of the init containers: [${of.inits.join(' ')}]`;
    throw badRequest(
      `a container name must be specified for pod ${of.pod}, choose one of: [${of.containers.join(' ')}]${inits}`,
    );
  }
  if ([...of.containers, ...of.inits].includes(asked)) return asked;
  throw badRequest(`container ${asked} is not valid for pod ${of.pod}`);
}
