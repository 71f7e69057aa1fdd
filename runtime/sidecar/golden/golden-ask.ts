/**
 * Sends a golden case (a request that a pod must answer before it gets traffic) to a runtime's port for sidecars, where
 * requests are not counted as traffic.
 *
 * Owns:  the deadline, and the fallback for earlier versions of the runtime. An earlier version answers 404 on the port
 *        for sidecars; the case is then sent to the port for users.
 */
import type { Agent } from 'node:http';
import { ports } from '../../../api/names.ts';
import { askRuntime } from '../../protocol/ask-runtime.ts';
import type { Ask } from './golden-pass.ts';

/** Enough for the longest text that a model accepts, on a busy machine. */
const deadlineMs = 60_000;

/** @param tokenFor returns the token of the revision whose pod has this address; undefined when the token is unknown */
export function goldenAsk(agent: Agent, tokenFor: (address: string) => string | undefined = () => undefined): Ask {
  return async (address, question, signal) => {
    const door = { address, agent, deadlineMs, signal };
    const answered = await askRuntime(question, { ...door, port: ports.metrics, token: tokenFor(address) });
    const unknown = answered.kind === 'refused' && answered.status === 404;
    return unknown ? askRuntime(question, { ...door, port: ports.runtime }) : answered;
  };
}
