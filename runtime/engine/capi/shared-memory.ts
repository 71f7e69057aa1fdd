/**
 * Memory outside V8: lanes that the server and the engine process share, and blocks of the engine process alone.
 *
 * Owns:   anonymous files in memory (memfd) and their mappings, anonymous mappings, and copies between addresses. A
 *         memfd has no name and no size limit of /dev/shm, and its memory is freed with the last process that has it.
 * Limits: Linux with glibc.
 */
import { fstatSync, ftruncateSync } from 'node:fs';
import koffi from 'koffi';
import type { Address } from './library.ts';

const mapShared = 0x01;
const mapPrivate = 0x02;
const mapAnonymous = 0x20;
const mapNoReserve = 0x4000;
const readWrite = 0x3;
const failed = 2n ** 64n - 1n;
const parentDeathSignal = 1;
const sigKill = 9;

const libc = koffi.load('libc.so.6');
const memfdCreate = libc.func('memfd_create', 'int', ['str', 'uint']) as (name: string, flags: number) => number;
const mmap = libc.func('mmap', 'uintptr_t', ['void*', 'size_t', 'int', 'int', 'int', 'int64_t']) as (
  ...values: [hint: null, bytes: number, protection: number, flags: number, descriptor: number, offset: number]
) => number | bigint;
const munmap = libc.func('munmap', 'int', ['void*', 'size_t']) as (at: Address, bytes: number) => number;
const memmove = libc.func('memmove', 'void*', ['void*', 'void*', 'size_t']) as (
  to: Address,
  from: Address,
  bytes: number,
) => void;
const mallocTrim = libc.func('malloc_trim', 'int', ['size_t']) as (keep: number) => number;
const prctl = libc.func('prctl', 'int', ['int', 'ulong', 'ulong', 'ulong', 'ulong']) as (
  ...values: [number, number, number, number, number]
) => number;

export type Lane = {
  /** Descriptor of the file in this process. */
  readonly descriptor: number;
  readonly address: Address;
  readonly maxBytes: number;
};

/**
 * @param maxBytes size of the lane's address range
 * @throws Error when the kernel refuses the memory
 */
export function openLane(maxBytes: number): Lane {
  const descriptor = memfdCreate('onnx-lane', 0);
  if (descriptor < 0) throw new Error(`memfd_create failed with errno ${koffi.errno()}`);
  return { descriptor, maxBytes, address: map(maxBytes, mapShared | mapNoReserve, descriptor) };
}

/**
 * Makes the bytes up to `end` of a lane usable.
 * @throws Error when `end` is over the limit of a lane
 */
export function growLane({ descriptor, maxBytes }: Lane, end: number): void {
  if (end > maxBytes) throw new Error(`the outputs need ${end} bytes; the limit is ${maxBytes}`);
  if (fstatSync(descriptor).size < end) ftruncateSync(descriptor, end);
}

/** Zeroed memory of this process. @throws Error when there is not enough address space */
export function allocateBlock(bytes: number): Address {
  return map(Math.max(1, bytes), mapPrivate | mapAnonymous, -1);
}

export function freeBlock(address: Address, bytes: number): void {
  munmap(address, Math.max(1, bytes));
}

/** The ranges may overlap. */
export function copyBytes(from: Address, to: Address, bytes: number): void {
  if (bytes > 0) memmove(to, from, bytes);
}

/** Returns freed memory of glibc's heaps to the system. */
export function trimHeaps(): void {
  mallocTrim(0);
}

/** The kernel ends this process when the thread that started it ends, even while this process runs native code. */
export function dieWithParent(): void {
  prctl(parentDeathSignal, sigKill, 0, 0, 0);
}

function map(bytes: number, flags: number, descriptor: number): Address {
  const address = BigInt(mmap(null, bytes, readWrite, flags, descriptor, 0));
  if (address === failed) throw new Error(`mmap of ${bytes} bytes failed with errno ${koffi.errno()}`);
  return address;
}
