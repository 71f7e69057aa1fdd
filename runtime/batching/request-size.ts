/** The size of requests and of runs: elements, bytes and rows. Pure. */
import { elementCount, tensorBytes, type NamedTensors } from '../engine/tensor.ts';

/** Rows of a request, and all its input elements. */
type Sized = { readonly rows: number; readonly elements: number };

export function elementsOf(inputs: NamedTensors): number {
  return Object.values(inputs).reduce((sum, { dims }) => sum + elementCount(dims), 0);
}

export function tensorsBytes(tensors: NamedTensors): number {
  return Object.values(tensors).reduce((sum, tensor) => sum + tensorBytes(tensor), 0);
}

/** The rows of a run, and the input elements of one of them. */
export function runSize(tickets: readonly Sized[]): { readonly rows: number; readonly elements: number } {
  const [rows, elements] = tickets.reduce(
    ([sumRows, sumElements], ticket) => [sumRows + ticket.rows, sumElements + ticket.elements],
    [0, 0],
  );
  return { rows, elements: elements / Math.max(1, rows) };
}
