/**
 * How a golden case is asked: at the runtime's port for sidecars, where it is no traffic and shows in no count.
 *
 * Owns: the deadline, and what is done with a runtime of an earlier version, which has no such port: it is asked as by
 *       its users.
 */
import type { Agent } from 'node:http';
import { ports } from '../../../api/names.ts';
import { askRuntime } from '../../protocol/ask-runtime.ts';
import type { Ask } from './golden-pass.ts';

/** A case may be the longest text that a model takes, on a busy machine. */
const deadlineMs = 60_000;

/** @param tokenFor the token of the revision that the pod at this address is of; undefined: not known */
export function goldenAsk(agent: Agent, tokenFor: (address: string) => string | undefined = () => undefined): Ask {
  return async (address, question, signal) => {
    const door = { address, agent, deadlineMs, signal };
    const answered = await askRuntime(question, { ...door, port: ports.metrics, token: tokenFor(address) });
    const unknown = answered.kind === 'refused' && answered.status === 404;
    return unknown ? askRuntime(question, { ...door, port: ports.runtime }) : answered;
  };
}
