/** The size of a run: its rows, and the elements of one of them. Pure. */

/** Rows of a request, and all its input elements. */
type Sized = { readonly rows: number; readonly elements: number };

/** The rows of a run, and the input elements of one of them. */
export function runSize(tickets: readonly Sized[]): { readonly rows: number; readonly elements: number } {
  const [rows, elements] = tickets.reduce(
    ([sumRows, sumElements], ticket) => [sumRows + ticket.rows, sumElements + ticket.elements],
    [0, 0],
  );
  return { rows, elements: elements / Math.max(1, rows) };
}
