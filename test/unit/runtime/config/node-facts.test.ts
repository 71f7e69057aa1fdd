/** Facts about the CPU from /proc/cpuinfo. */
import assert from 'node:assert/strict';
import { cpuFeatures, cpuName } from '../../../../runtime/config/node-facts.ts';

describe('the name of the CPU', () => {
  for (const { name, text, want } of [
    { name: 'is its model name on x86', text: 'vendor_id\t: X\nmodel name\t: A CPU @ 2 GHz\n', want: 'A CPU @ 2 GHz' },
    { name: 'is made of numbers on Arm', text: 'CPU implementer\t: 0x41\nCPU part\t: 0xd0c\n', want: '0x41 0xd0c' },
    { name: 'is unknown without a file', text: '', want: 'unknown' },
  ])
    it(name, () => assert.equal(cpuName(text), want));
});

describe('the features of the CPU', () => {
  it('are those by which ONNX Runtime selects its kernels', () =>
    assert.deepEqual(cpuFeatures('flags\t\t: fpu avx512f avx2 sse\n'), ['avx2', 'avx512f']));
});
