/** A call (one request, without its transport): its admission, its answer, and what its observer is called with. */
import assert from 'node:assert/strict';
import { AppError } from '../../../../api/errors.ts';
import type { Tier } from '../../../../api/tiers.ts';
import { silentLogger } from '../../../../lib/log.ts';
import { ClientGone, jsonAnswer, protocolErrorBody, type Answer } from '../../../../runtime/call/answer.ts';
import type { Handler, IncomingCall } from '../../../../runtime/call/handler.ts';
import type { AnsweredCall } from '../../../../runtime/call/observer.ts';
import { perform, performThen, uncounted, type CallDeps } from '../../../../runtime/call/perform.ts';
import { HandClock } from '../../../support/hand-clock.ts';

type Given = {
  readonly handle?: Handler['handle'];
  readonly needsRoom?: boolean;
  readonly tier?: Tier;
  readonly timeoutMs?: number;
  readonly isIdle?: boolean;
  readonly isGone?: boolean;
  readonly admit?: () => void;
  readonly readBody?: IncomingCall['readBody'];
};

type Made = {
  readonly clock: HandClock;
  readonly deps: CallDeps;
  readonly incoming: IncomingCall;
  readonly handler: Handler;
  readonly seen: AnsweredCall[];
  readonly released: () => number;
};

function made(given: Given = {}): Made {
  const clock = new HandClock();
  const seen: AnsweredCall[] = [];
  let released = 0;
  return {
    clock,
    seen,
    released: () => released,
    deps: {
      admit: given.admit ?? (() => {}),
      isIdle: () => given.isIdle ?? true,
      expectedWaitMs: (tier) => (tier === 'bulk' ? 7000 : 2500),
      ownDeadlineMs: () => 60_000,
      open: new Set(),
      observer: { answered: (call) => void seen.push(call) },
      tellsService: false,
      clock,
      logger: silentLogger,
    },
    incoming: {
      requestId: 'r-1',
      path: '/v2/models/m/infer',
      headers: {},
      tier: given.tier ?? 'interactive',
      timeoutMs: () => given.timeoutMs,
      readBody: given.readBody ?? (() => Promise.resolve(new Uint8Array(4))),
      hold: () => {},
      release: () => {
        released += 1;
      },
      ending: new AbortController(),
      isGone: () => given.isGone ?? false,
    },
    handler: {
      name: 'infer',
      needsRoom: given.needsRoom ?? true,
      handle: given.handle ?? (() => jsonAnswer({ ok: true })),
      errorBody: protocolErrorBody,
    },
  };
}

const notReady = (): void => {
  throw new AppError('NOT_READY', { state: 'warming up' });
};
const refuse = (error: unknown) => (): never => {
  throw error;
};

describe('perform', () => {
  // prettier-ignore
  const rows: readonly { readonly name: string; readonly given: Given; readonly status: number | undefined;
    readonly code?: string; readonly kind: AnsweredCall['kind'] }[] = [
    { name: "returns the handler's answer", given: {}, status: 200, kind: 'Answered' },
    { name: 'refuses a call before the server is ready',
      given: { admit: notReady }, status: 503, code: 'NOT_READY', kind: 'Failed' },
    { name: 'admits a call that needs no room before the server is ready',
      given: { admit: notReady, needsRoom: false }, status: 200, kind: 'Answered' },
    { name: 'refuses a bulk call while the server is not idle',
      given: { tier: 'bulk', isIdle: false }, status: 429, code: 'NOT_IDLE', kind: 'Failed' },
    { name: 'admits a bulk call while the server is idle', given: { tier: 'bulk' }, status: 200, kind: 'Answered' },
    { name: 'admits an interactive call while not idle', given: { isIdle: false }, status: 200, kind: 'Answered' },
    { name: 'admits a bulk call that needs no room while the server is not idle',
      given: { tier: 'bulk', isIdle: false, needsRoom: false }, status: 200, kind: 'Answered' },
    { name: 'answers an AppError with its own status and code',
      given: { handle: refuse(new AppError('QUEUE_FULL', { what: 'rows', limit: 4 })) }, status: 429,
      code: 'QUEUE_FULL', kind: 'Failed' },
    { name: 'answers any other error with INTERNAL, without its text',
      given: { handle: refuse(new TypeError('secret')) }, status: 500, code: 'INTERNAL', kind: 'Failed' },
    { name: 'returns no answer when the client disconnected during its body',
      given: { readBody: () => Promise.reject(new ClientGone()),
        handle: async (call) => jsonAnswer(await call.readBody(0)) },
      status: undefined, kind: 'Abandoned' },
    { name: 'returns no answer when the transport noticed that the client disconnected',
      given: { isGone: true, handle: refuse(new Error('late')) }, status: undefined, kind: 'Abandoned' },
  ];
  for (const { name, given, status, code, kind } of rows) {
    it(name, async () => {
      const { deps, incoming, handler, seen } = made(given);
      const answer = await perform(deps, incoming, handler);
      assert.equal(answer?.status, status);
      assert.equal(answer?.headers?.['x-error-code'], code);
      assert.deepEqual(
        seen.map((call) => [call.kind, call.status]),
        [[kind, status ?? 499]],
      );
      assert.equal(deps.open.size, 0);
    });
  }

  it('adds the request id and the Server-Timing header to an answer', async () => {
    const { deps, incoming, handler } = made();
    const { headers } = (await perform(deps, incoming, handler)) as Answer;
    assert.equal(headers?.['x-request-id'], 'r-1');
    assert.match(headers['server-timing'] ?? '', /^decode;dur=/);
  });

  for (const { tier, want } of [
    { tier: 'interactive', want: ['3', '2500'] },
    { tier: 'bulk', want: ['7', '7000'] },
  ] as const) {
    it(`adds Retry-After, also in milliseconds, to a temporary error, by the queue of the ${tier} tier`, async () => {
      const { deps, incoming, handler } = made({
        tier,
        handle: refuse(new AppError('QUEUE_FULL', { what: 'requests', limit: 4 })),
      });
      const { headers } = (await perform(deps, incoming, handler)) as Answer;
      assert.deepEqual([headers?.['retry-after'], headers?.['retry-after-ms']], want);
    });
  }

  it('records a call once, and answers it, when the observer throws', async () => {
    for (const given of [{}, { handle: refuse(new AppError('QUEUE_FULL', { what: 'requests', limit: 4 })) }]) {
      const { deps, incoming, handler } = made(given);
      let records = 0;
      const observer = {
        answered: (): never => {
          records += 1;
          throw new Error('the observer failed');
        },
      };
      const answer = await perform({ ...deps, observer }, incoming, handler);
      assert.deepEqual([answer?.status, records, deps.open.size], ['handle' in given ? 429 : 200, 1, 0]);
    }
  });

  it('tells and records a call once when the transport throws', () => {
    for (const given of [{}, { handle: refuse(new AppError('QUEUE_FULL', { what: 'requests', limit: 4 })) }]) {
      const { deps, incoming, handler, seen } = made(given);
      const errors: string[] = [];
      const logger = { ...silentLogger, error: (message: string) => void errors.push(message) };
      let told = 0;
      performThen({ ...deps, logger }, incoming, handler, () => {
        told += 1;
        throw new Error('the transport failed');
      });
      assert.deepEqual([told, seen.length, deps.open.size, errors], [1, 1, 0, ['answer not sent']]);
    }
  });

  it('tells that there is no answer when the error cannot be written', () => {
    const { deps, incoming, handler, seen } = made({ admit: notReady });
    const errorBody = refuse(new Error('the encoder failed'));
    const told: unknown[] = [];
    performThen(deps, incoming, { ...handler, errorBody }, (answer) => void told.push(answer));
    assert.deepEqual([told, seen.length, deps.open.size], [[undefined], 1, 0]);
  });

  it('answers at the deadline, and releases the body only when the handler returns', async () => {
    const { promise, resolve } = Promise.withResolvers<Answer>();
    const { deps, incoming, handler, clock, seen, released } = made({ timeoutMs: 100, handle: () => promise });
    const answer = perform(deps, incoming, handler);
    await clock.advance(100);
    assert.equal((await answer)?.headers?.['x-error-code'], 'REQUEST_EXPIRED');
    assert.equal(released(), 0, 'the run still uses the body');
    assert.ok(incoming.ending.signal.aborted);
    resolve(jsonAnswer({}));
    await clock.advance(1);
    assert.deepEqual([released(), seen.length], [1, 1]);
  });

  it('answers with the error given to giveUp', async () => {
    const { deps, incoming, handler } = made({ handle: () => new Promise<Answer>(() => {}) });
    const answer = perform(deps, incoming, handler);
    for (const call of deps.open) call.giveUp(new AppError('DRAINING', undefined));
    assert.equal((await answer)?.headers?.['x-error-code'], 'DRAINING');
  });

  describe('for a sidecar', () => {
    const infer: Handler['handle'] = async (call) => {
      await call.readBody(0);
      call.trace.decoded(1);
      call.trace.inferred({ queueMs: 1, inferMs: 2 });
      return jsonAnswer({});
    };
    it('does not call the observer, and adds the service time to the answer', async () => {
      const { deps, incoming, handler, seen } = made({ handle: infer });
      const answer = await perform(uncounted(deps), incoming, handler);
      assert.equal(answer?.headers?.['x-onnx-service-ms'], '2.000000');
      assert.deepEqual(seen, []);
    });
    it('leaves out the service time when the runtime was not idle', async () => {
      const { deps, incoming, handler } = made({ handle: infer, isIdle: false });
      assert.equal((await perform(uncounted(deps), incoming, handler))?.headers?.['x-onnx-service-ms'], undefined);
    });
  });
});
