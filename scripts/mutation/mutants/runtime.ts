/** Mutants of the model server: batches, admission, bodies, memory, answers, addresses, signals. */
import { group } from '../mutant.ts';

export const runtimeMutants = [
  ...group(['test/unit/runtime/batching/*.test.ts', 'test/unit/runtime/engine/rows.test.ts'], [
    { name: 'a batch has more rows than it may', of: 'planBatch', within: 'fill', from: 'sum.rows > limits.maxRows || ', to: '' },
    { name: 'a batch has more elements than it may', of: 'planBatch', within: 'fill', from: 'sum.elements > limits.maxElements || ', to: '' },
    { name: 'a request that is too large for a batch never runs', of: 'planBatch', within: 'fill', from: 'count > 0 && ', to: '' },
    { name: 'a request past its deadline runs', of: 'planBatch', within: 'expired', from: 'deadlineMs <= nowMs', to: 'deadlineMs < 0' },
    { name: 'requests wait longer than the delay', of: 'planBatch', from: 'if (leftMs <= 0) return', to: 'if (leftMs < -1000) return' },
    { name: 'a full batch waits for its delay', of: 'planBatch', from: 'take.length < group.length || rowsOf(queue, take) >= limits.maxRows', to: 'take.length < group.length' },
    { name: 'a deadline in the queue is noticed late', of: 'planWhileBusy', from: 'timeLeft(queue, nowMs)', to: 'Infinity' },
    { name: 'the queue has no limit', of: 'Batcher', from: 'this.#queue.length >= limits.maxDepth', to: 'false' },
    { name: 'an aborted request is queued', of: 'Batcher', from: 'if (request.signal.aborted) return', to: 'if (false) return' },
    { name: 'a caller that left stays in the queue', of: 'Batcher', from: "request.signal.addEventListener('abort', leave, { once: true });", to: '' },
    { name: 'one request may have any number of elements', of: 'Batcher', from: 'elements > limits.maxRequestElements', to: 'elements > Infinity' },
    { name: 'requests of different shapes share a run', of: 'groupOf', from: 'text += `,${tensor?.dims[axis] ?? 0}`;', to: 'text += "";' },
    { name: 'requests for different outputs share a run', of: 'groupOf', from: "let text = outputs.join('\\0');", to: "let text = '';" },
    { name: 'a failed batch fails all of its requests', of: 'runParts', within: 'runTogether', from: 'return undefined;\n  }\n}', to: 'throw new Error();\n  }\n}' },
    { name: 'results are cut at the wrong rows', of: 'splitRows', from: 'at += count;', to: 'at += 1;' },
    { name: 'an output of another length is cut', of: 'splitRows', from: 'dims[0] !== total', to: 'dims[0] === undefined' },
  ]),
  ...group(['test/unit/runtime/server/body*.test.ts', 'test/integration/runtime-server.test.ts'], [
    { name: 'bodies under way have no limit together', of: 'BodyBudget', from: 'this.#heldBytes > own && ', to: 'false && ' },
    { name: 'a lease is not given back', of: 'BodyBudget', from: 'this.#heldBytes -= own;', to: '' },
  ]),
  ...group(['test/unit/runtime/server/memory-guard.test.ts'], [
    { name: 'work is taken with the memory full', of: 'MemoryGuard', from: 'this.#refusing = share > refuseShare;', to: 'this.#refusing = false;' },
    { name: 'no worker is recycled', of: 'MemoryGuard', from: 'share <= recycleShare || ', to: 'share <= 1 || ' },
    { name: 'workers are recycled one after another', of: 'MemoryGuard', from: ' || clock.monotonic() - this.#recycledAtMs < betweenRecyclesMs', to: '' },
  ]),
  ...group(['test/unit/runtime/server/readiness.test.ts'], [
    { name: 'a server without workers calls itself ready', of: 'Readiness', from: ' && this.#workers().ready > 0', to: '' },
    { name: 'a server that lost its workers stays alive for good', of: 'Readiness', from: '< withoutWorkersMs', to: '< Infinity' },
    { name: 'requests are let in before the model is loaded', of: 'Readiness', from: 'if (!this.#startedUp || this.stuck) throw', to: 'if (this.stuck) throw' },
  ]),
  ...group(['test/unit/runtime/engine/run-watch.test.ts', 'test/unit/runtime/server/*.test.ts'], [
    { name: 'a server whose runs do not end calls itself ready', of: 'Readiness', from: ' && !this.stuck;', to: ';' },
    { name: 'a server whose runs do not end stays alive for good', of: 'Readiness', from: 'stuckMs > 2 * limitMs', to: 'stuckMs > 1e12' },
    { name: 'one long run of several workers makes a server unready', of: 'RunWatch', from: ' || this.#begins.size < workers', to: '' },
    { name: 'the longest run of the warm-up is not learnt from', of: 'RunWatch', from: 'Math.max(this.#leastMs, factor * this.#longestMs)', to: 'this.#leastMs' },
    { name: 'runs under traffic raise their own limit', of: 'RunWatch', from: 'if (this.#learning) ', to: '' },
  ]),
  ...group(['test/unit/runtime/artifact/address-guard.test.ts'], [
    { name: 'an IPv4 address inside an IPv6 one may be fetched from', of: 'isBlockedAddress', from: " || embeddedIpv4(bytes).some((inner) => blocked.check(inner, 'ipv4'))", to: '' },
    { name: 'metadata under a prefix of its own may be fetched from', of: 'isBlockedAddress', from: ' || metadataAddresses.has(dotted(bytes.slice(12)))', to: '' },
    { name: 'Azure\'s WireServer may be fetched from', of: 'isBlockedAddress', within: 'networks', from: "['168.63.129.16', 32]", to: "['168.63.129.17', 32]" },
    { name: 'GCP\'s metadata over IPv6 may be fetched from', of: 'isBlockedAddress', within: 'networks', from: "['fd20:ce::', 32]", to: "['fd20:cf::', 32]" },
    { name: 'an address in brackets is not looked at', of: 'isBlockedAddress', from: "address.replace(/^\\[(.*)\\]$/, '$1')", to: 'address' },
    { name: 'one bad address among several is let pass', of: 'guardedLookup', from: 'all.find((one) => isBlockedAddress(one))', to: '[all[0] ?? ""].find((one) => isBlockedAddress(one))' },
  ]),
  ...group(['test/unit/runtime/protocol/oip/*.test.ts', 'test/unit/runtime/protocol/*.test.ts'], [
    { name: 'binary data left over is ignored', of: 'readTensors', from: 'if (at !== blob.length) throw', to: 'if (false) throw' },
    { name: 'an input may be given twice', of: 'readTensors', from: 'if (tensors.has(head.name)) throw', to: 'if (false) throw' },
    { name: 'the elements of a request have no limit', of: 'readTensors', from: 'elements > rules.maxElements', to: 'elements > Infinity' },
    { name: 'a negative dimension is taken', of: 'shapeOf', from: ' || (dim as number) < 0', to: '' },
    { name: 'an integer out of range wraps', of: 'arrayOfJson', within: 'readIntegers', from: 'if (into[index] !== value) throw', to: 'if (false) throw' },
    { name: 'a BOOL of 2 is taken', of: 'arrayOfBytes', from: 'value > 1', to: 'value > 2' },
  ]),
];
