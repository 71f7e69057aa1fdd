/**
 * The functions of ONNX Runtime's C API that this project calls: their names, result types and parameter types.
 *
 * Owns:  the list. `npm run generate:ort-api` finds each function's position in the API's table (function-table.ts) and
 *        compares these types with ONNX Runtime's own declarations.
 * Types: 'ptr' is any pointer, 'str' a pointer to a C string that koffi converts, 'int' a C int or an enum.
 * Pure.
 */
export type NativeType = 'ptr' | 'str' | 'int' | 'u32' | 'i64' | 'size' | 'void';
export type NativeSignature = readonly [result: NativeType, ...parameters: NativeType[]];

/** A result 'ptr' of a function that is not a release is an OrtStatus: null means success. */
export const signatures = {
  GetErrorCode: ['int', 'ptr'],
  GetErrorMessage: ['str', 'ptr'],
  ReleaseStatus: ['void', 'ptr'],

  CreateEnv: ['ptr', 'int', 'str', 'ptr'],
  DisableTelemetryEvents: ['ptr', 'ptr'],
  CreateCpuMemoryInfo: ['ptr', 'int', 'int', 'ptr'],
  CreateArenaCfgV2: ['ptr', 'ptr', 'ptr', 'size', 'ptr'],
  CreateAndRegisterAllocator: ['ptr', 'ptr', 'ptr', 'ptr'],
  GetAllocatorWithDefaultOptions: ['ptr', 'ptr'],
  AllocatorFree: ['ptr', 'ptr', 'ptr'],
  ReleaseEnv: ['void', 'ptr'],
  ReleaseMemoryInfo: ['void', 'ptr'],
  ReleaseArenaCfg: ['void', 'ptr'],

  CreateSessionOptions: ['ptr', 'ptr'],
  SetSessionExecutionMode: ['ptr', 'ptr', 'int'],
  SetSessionGraphOptimizationLevel: ['ptr', 'ptr', 'int'],
  SetIntraOpNumThreads: ['ptr', 'ptr', 'int'],
  SetInterOpNumThreads: ['ptr', 'ptr', 'int'],
  SetSessionLogSeverityLevel: ['ptr', 'ptr', 'int'],
  EnableCpuMemArena: ['ptr', 'ptr'],
  DisableCpuMemArena: ['ptr', 'ptr'],
  EnableMemPattern: ['ptr', 'ptr'],
  DisableMemPattern: ['ptr', 'ptr'],
  AddSessionConfigEntry: ['ptr', 'ptr', 'str', 'str'],
  ReleaseSessionOptions: ['void', 'ptr'],

  CreateSession: ['ptr', 'ptr', 'str', 'ptr', 'ptr'],
  SessionGetInputCount: ['ptr', 'ptr', 'ptr'],
  SessionGetOutputCount: ['ptr', 'ptr', 'ptr'],
  SessionGetInputName: ['ptr', 'ptr', 'size', 'ptr', 'ptr'],
  SessionGetOutputName: ['ptr', 'ptr', 'size', 'ptr', 'ptr'],
  Run: ['ptr', 'ptr', 'ptr', 'ptr', 'ptr', 'size', 'ptr', 'size', 'ptr'],
  ReleaseSession: ['void', 'ptr'],

  CreateRunOptions: ['ptr', 'ptr'],
  RunOptionsSetTerminate: ['ptr', 'ptr'],
  AddRunConfigEntry: ['ptr', 'ptr', 'str', 'str'],
  ReleaseRunOptions: ['void', 'ptr'],

  CreateTensorAsOrtValue: ['ptr', 'ptr', 'ptr', 'size', 'int', 'ptr'],
  CreateTensorWithDataAsOrtValue: ['ptr', 'ptr', 'ptr', 'size', 'ptr', 'size', 'int', 'ptr'],
  FillStringTensor: ['ptr', 'ptr', 'ptr', 'size'],
  GetStringTensorDataLength: ['ptr', 'ptr', 'ptr'],
  GetStringTensorContent: ['ptr', 'ptr', 'ptr', 'size', 'ptr', 'size'],
  IsTensor: ['ptr', 'ptr', 'ptr'],
  GetTensorTypeAndShape: ['ptr', 'ptr', 'ptr'],
  GetTensorElementType: ['ptr', 'ptr', 'ptr'],
  GetDimensionsCount: ['ptr', 'ptr', 'ptr'],
  GetDimensions: ['ptr', 'ptr', 'ptr', 'size'],
  GetTensorMutableData: ['ptr', 'ptr', 'ptr'],
  ReleaseTensorTypeAndShapeInfo: ['void', 'ptr'],
  ReleaseValue: ['void', 'ptr'],
} as const satisfies Readonly<Record<string, NativeSignature>>;

export type NativeName = keyof typeof signatures;
