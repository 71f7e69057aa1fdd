/** Reading ONNX Runtime's declarations, and the table that is made of them. */
import assert from 'node:assert/strict';
import { functionTable, ortVersion, apiVersion } from '../../../../runtime/engine/capi/function-table.ts';
import { signatures } from '../../../../runtime/engine/capi/signatures.ts';
import packageJson from '../../../../package.json' with { type: 'json' };
import { declaredFunctions, type Declared } from '../../../../scripts/ort-api/declarations.ts';
import { tableSource } from '../../../../scripts/ort-api/table.ts';

const header = `
struct OrtApiBase { const OrtApi*(ORT_API_CALL* GetApi)(uint32_t version)NO_EXCEPTION; };
struct OrtApi {
  /** Creates a status; see OrtApi::GetErrorCode(status). */
  OrtStatus*(ORT_API_CALL* CreateStatus)(OrtErrorCode code, _In_ const char* msg)NO_EXCEPTION ORT_ALL_ARGS_NONNULL;
  OrtErrorCode(ORT_API_CALL* GetErrorCode)(_In_ const OrtStatus* status) NO_EXCEPTION ORT_ALL_ARGS_NONNULL;
  const char*(ORT_API_CALL* GetErrorMessage)(_In_ const OrtStatus* status)NO_EXCEPTION ORT_ALL_ARGS_NONNULL;
  ORT_API2_STATUS(CreateEnv, OrtLoggingLevel log_severity_level, _In_ const char* logid, _Outptr_ OrtEnv** out);
  // ORT_API2_STATUS(Removed, int x);
  ORT_API2_STATUS(GetDimensions, _In_ const OrtTensorTypeAndShapeInfo* info, _Out_ int64_t* dim_values,
                  size_t dim_values_length);
  ORT_API2_STATUS(Run, _Inout_ OrtSession* session, _In_reads_(input_len) const char* const* input_names,
                  size_t input_len, _Inout_updates_all_(output_names_len) OrtValue** outputs);
  ORT_CLASS_RELEASE(Env);
  void(ORT_API_CALL* SetThing)(uint32_t value, int64_t other);
};
`;
const rust = `
pub struct OrtApi {
\t#[doc = "Creates a status: (code, message)"]
\tpub CreateStatus: unsafe extern "system" fn(code: OrtErrorCode, msg: *const core::ffi::c_char) -> OrtStatusPtr,
\tpub GetErrorCode: unsafe extern "system" fn(status: *const OrtStatus) -> OrtErrorCode,
\tpub GetErrorMessage: unsafe extern "system" fn(status: *const OrtStatus) -> *const core::ffi::c_char,
\t#[cfg(not(target_family = "wasm"))]
\tpub CreateEnv:
\t\tunsafe extern "system" fn(level: OrtLoggingLevel, logid: *const c_char, out: *mut *mut OrtEnv) -> OrtStatusPtr,
\t#[cfg(target_family = "wasm")]
\tpub CreateEnv: unsafe fn(log_severity_level: OrtLoggingLevel, logid: &str) -> core::pin::Pin<Box<dyn Future>>,
\tpub GetDimensions: unsafe extern "system" fn(
\t\tinfo: *const OrtTensorTypeAndShapeInfo,
\t\tdim_values: *mut i64,
\t\tdim_values_length: usize
\t) -> OrtStatusPtr,
\tpub Run: unsafe extern "system" fn(
\t\tsession: *mut OrtSession,
\t\tinput_names: *const *const c_char,
\t\tinput_len: usize,
\t\toutputs: *mut *mut OrtValue
\t) -> OrtStatusPtr,
\tpub ReleaseEnv: unsafe extern "system" fn(input: *mut OrtEnv),
\tpub SetThing: unsafe extern "system" fn(value: u32, other: i64),
}
`;
const want: readonly Declared[] = [
  { name: 'CreateStatus', signature: ['ptr', 'int', 'ptr'] },
  { name: 'GetErrorCode', signature: ['int', 'ptr'] },
  { name: 'GetErrorMessage', signature: ['ptr', 'ptr'] },
  { name: 'CreateEnv', signature: ['ptr', 'int', 'ptr', 'ptr'] },
  { name: 'GetDimensions', signature: ['ptr', 'ptr', 'ptr', 'size'] },
  { name: 'Run', signature: ['ptr', 'ptr', 'ptr', 'size', 'ptr'] },
  { name: 'ReleaseEnv', signature: ['void', 'ptr'] },
  { name: 'SetThing', signature: ['void', 'u32', 'i64'] },
];

describe("declarations of ONNX Runtime's API", () => {
  it('are read from the C header in their order, with their types', () =>
    assert.deepEqual(declaredFunctions(header), want));

  it('are read from the Rust bindings in their order, with their types', () =>
    assert.deepEqual(declaredFunctions(rust), want));

  it('are refused when the file has none', () =>
    assert.throws(() => declaredFunctions('int main() {}'), /no declaration of struct OrtApi/));

  const own = Object.entries(signatures).map(([name, signature]) => ({
    name,
    signature: signature.map((type) => (type === 'str' ? 'ptr' : type)),
  })) as unknown as readonly Declared[];
  const source = { ortVersion: '1.30.0', declaredBy: 'a header' };

  it('give the positions of the functions that are called', () => {
    const text = tableSource({ ...source, declared: [...want.slice(0, 1), ...own] });
    assert.match(text, /apiVersion = 30;/);
    assert.match(text, /\n {2}GetErrorCode: 1,\n {2}GetErrorMessage: 2,\n/);
  });

  it('are refused when a function is missing or has other types', () => {
    const wrong = own.filter(({ name }) => name !== 'Run').map(changed);
    assert.throws(
      () => tableSource({ ...source, declared: wrong }),
      new Error('CreateEnv is declared as (ptr, int), not (ptr, int, str, ptr)\nRun is not declared'),
    );
  });
});

function changed(declared: Declared): Declared {
  return declared.name === 'CreateEnv' ? { ...declared, signature: ['ptr', 'int'] } : declared;
}

describe('the table of functions', () => {
  it('is for the version of onnxruntime-node that is installed', () => {
    assert.equal(ortVersion, packageJson.dependencies['onnxruntime-node']);
    assert.equal(apiVersion, Number(ortVersion.split('.')[1]));
  });

  it('has a position of its own for every function that is called', () => {
    assert.deepEqual(Object.keys(functionTable).sort(), Object.keys(signatures).sort());
    assert.equal(new Set(Object.values(functionTable)).size, Object.keys(functionTable).length);
  });
});
