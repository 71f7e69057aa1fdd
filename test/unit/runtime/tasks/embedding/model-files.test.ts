/** Facts from a model's files: maximum tokens, position ids, and pooling (how token vectors become one). */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { readModelFacts, type ModelFacts } from '../../../../../runtime/tasks/embedding/model-files.ts';

describe('readModelFacts', () => {
  let folder = '';
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'model-files-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  async function factsOf(files: Readonly<Record<string, unknown>>): Promise<ModelFacts> {
    for (const [name, content] of Object.entries(files)) {
      await mkdir(dirname(join(folder, 'sub', name)), { recursive: true });
      await writeFile(join(folder, 'sub', name), JSON.stringify(content));
    }
    return readModelFacts('sub/tokenizer.json', (path) => join(folder, path));
  }

  // prettier-ignore
  const lengths: readonly { readonly name: string;
    readonly files: Readonly<Record<string, unknown>>; readonly want: number | undefined }[] = [
    { name: 'finds no facts without files', files: {}, want: undefined },
    { name: "takes the tokenizer's model_max_length",
      files: { 'tokenizer_config.json': { model_max_length: 16 } }, want: 16 },
    { name: "treats transformers' 1e30 as no limit",
      files: { 'tokenizer_config.json': { model_max_length: 1e30 } }, want: undefined },
    { name: "prefers sentence-transformers' max_seq_length",
      files: { 'tokenizer_config.json': { model_max_length: 512 },
        'sentence_bert_config.json': { max_seq_length: 256 } }, want: 256 },
    { name: 'limits the length by the positions',
      files: { 'tokenizer_config.json': { model_max_length: 1e30 },
        'config.json': { max_position_embeddings: 128 } }, want: 128 },
    { name: "subtracts the positions that RoBERTa's padding uses",
      files: { 'tokenizer_config.json': { model_max_length: 514 },
        'config.json': { model_type: 'roberta', pad_token_id: 1, max_position_embeddings: 514 } }, want: 512 },
    { name: 'ignores values that are not a length', files: { 'tokenizer_config.json': { model_max_length: '512' },
        'config.json': { max_position_embeddings: -1 } }, want: undefined },
  ];
  for (const { name, files, want } of lengths)
    it(name, async () => assert.equal((await factsOf(files)).maxTokens?.count, want));

  it('reports the file that the length is from', async () =>
    assert.equal(
      (await factsOf({ 'tokenizer_config.json': { model_max_length: 16 } })).maxTokens?.file,
      'tokenizer_config.json',
    ));

  // prettier-ignore
  const positions: readonly { readonly name: string; readonly config: object; readonly want: number }[] = [
    { name: 'starts positions at 0', config: { model_type: 'qwen3', pad_token_id: 5 }, want: 0 },
    { name: 'starts positions after the padding token for RoBERTa',
      config: { model_type: 'xlm-roberta', pad_token_id: 1 }, want: 2 },
    { name: "assumes RoBERTa's usual padding token if the config does not set it", config: { model_type: 'roberta' },
      want: 2 },
  ];
  for (const { name, config, want } of positions)
    it(name, async () => assert.equal((await factsOf({ 'config.json': config })).firstPosition, want));

  // prettier-ignore
  const poolings: readonly { readonly name: string; readonly config: object;
    readonly want: ModelFacts['pooling'] }[] = [
    { name: 'reads mean pooling', config: { word_embedding_dimension: 384,
        pooling_mode_mean_tokens: true, pooling_mode_cls_token: false }, want: 'Mean' },
    { name: 'reads pooling of the first token', config: { pooling_mode_cls_token: true }, want: 'Cls' },
    { name: 'reads pooling of the last token', config: { pooling_mode_lasttoken: true }, want: 'Last' },
    { name: 'reports another mode as unsupported', config: { pooling_mode_max_tokens: true }, want: 'mixed' },
    { name: 'reports two modes as unsupported', config: { pooling_mode_cls_token: true,
        pooling_mode_mean_tokens: true }, want: 'mixed' },
    { name: 'finds no mode in another file', config: { hello: true }, want: undefined },
  ];
  for (const { name, config, want } of poolings)
    it(name, async () => assert.equal((await factsOf({ '1_Pooling/config.json': config })).pooling, want));

  it('names a file that is not JSON', async () => {
    await mkdir(join(folder, 'sub'), { recursive: true });
    await writeFile(join(folder, 'sub/config.json'), '{');
    await assert.rejects(factsOf({}), { code: 'BAD_CONFIG', message: /config\.json: it is not JSON/ });
  });
});
