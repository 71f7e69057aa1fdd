/** A client of OpenAI's `POST /v1/embeddings`. It requests vectors as base64, as OpenAI's own clients do. */

type Answer = {
  readonly data: readonly { readonly index: number; readonly embedding: string }[];
  readonly usage: { readonly prompt_tokens: number };
};

/**
 * @param base the URL at which the model is served, e.g. `status.address.url`
 * @returns one vector for each text, in the order of the texts
 * @throws Error with the server's message when the server refuses the request
 */
export async function embed(
  base: string,
  model: string,
  texts: readonly string[],
  signal?: AbortSignal,
): Promise<readonly Float32Array[]> {
  const response = await fetch(new URL('/v1/embeddings', base), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, input: texts, encoding_format: 'base64' }),
    ...(signal === undefined ? {} : { signal }),
  });
  if (!response.ok) throw new Error(`${model} answered ${response.status}: ${(await response.text()).slice(0, 500)}`);
  const { data } = (await response.json()) as Answer;
  return data.toSorted((a, b) => a.index - b.index).map(({ embedding }) => floatsOf(embedding));
}

function floatsOf(base64: string): Float32Array {
  const bytes = Uint8Array.from(Buffer.from(base64, 'base64'));
  return new Float32Array(bytes.buffer);
}
