import assert from 'node:assert/strict';
import { loadWords } from '../../../../runtime/engine/load-words.ts';

/** Error messages of ONNX Runtime 1.30. */
const rows: readonly { readonly name: string; readonly message: string; readonly want: string }[] = [
  {
    name: 'leaves out the source path and the C++ signature',
    message:
      'Load model from /tmp/x.onnx failed:/onnxruntime_src/onnxruntime/core/graph/model.cc:202 ' +
      'onnxruntime::Model::Model(onnx::ModelProto&&, const onnxruntime::PathString&, const ' +
      'onnxruntime::IOnnxRuntimeOpSchemaRegistryList*, const onnxruntime::logging::Logger&, const ' +
      'onnxruntime::ModelOptions&) Unsupported model IR version: 14, max supported IR version: 13\n',
    want: 'Unsupported model IR version: 14, max supported IR version: 13',
  },
  {
    name: 'leaves out a signature with template arguments',
    message:
      'Load model from /tmp/x.onnx failed:/onnxruntime_src/onnxruntime/core/graph/model_load_utils.h:46 void ' +
      'onnxruntime::model_load_utils::ValidateOpsetForDomain(const ' +
      'std::unordered_map<std::__cxx11::basic_string<char>, int>&, const onnxruntime::logging::Logger&, bool, ' +
      'const std::string&, int) ONNX Runtime only supports opset 26.',
    want: 'ONNX Runtime only supports opset 26.',
  },
  {
    name: "leaves out a condition from ONNX Runtime's source",
    message:
      'Exception during initialization: /onnxruntime_src/onnxruntime/core/x.h:12 onnxruntime::Foo<T>::Foo(const ' +
      'OpKernelInfo&) [with T = float] axis >= 0 was false. axis must be positive',
    want: 'axis must be positive',
  },
  {
    name: 'reports a damaged file',
    message: 'Load model from /tmp/x.onnx failed:Protobuf parsing failed.',
    want: 'the file is damaged: its protobuf cannot be parsed. Download or export it again',
  },
  {
    name: 'names a custom operator',
    message: 'Load model from /tmp/x.onnx failed:Fatal error: com.acme:Foo(-1) is not a registered function/op',
    want: 'ONNX Runtime 1.30 does not have operator com.acme.Foo: custom operators cannot be served',
  },
  {
    name: 'names an operator that is missing in its operator set',
    message:
      'Load model from /tmp/x.onnx failed:This is an invalid model. In Node, ("", Foo, "", -1) : ("x": ' +
      'tensor(float),) -> ("y": tensor(float),) , Error No Op registered for Foo with domain_version of 17',
    want: 'operator Foo does not exist in version 17 of its operator set: export the model with another version',
  },
  {
    name: 'names a domain that is not imported',
    message:
      'Load model from /tmp/x.onnx failed:This is an invalid model. In Node, ("", Foo, "com.acme", -1) : ("x": ' +
      'tensor(float),) -> ("y": tensor(float),) , Error No opset import for domain \'com.acme\'',
    want: "a node uses the domain 'com.acme', but the file does not import an operator set of that domain",
  },
  {
    name: 'names the node at fault',
    message:
      'Load model from /tmp/x.onnx failed:This is an invalid model. In Node, ("n1", Cast, "", -1) : ("x": ' +
      'tensor(float),) -> ("y": tensor(float),) , Error Required attribute \'to\' is missing.',
    want: "node 'n1' (Cast): Required attribute 'to' is missing.",
  },
  {
    name: 'keeps a message about types',
    message:
      "Load model from /tmp/x.onnx failed:This is an invalid model. Type Error: Type 'tensor(float)' of input " +
      'parameter (x) of operator (And) in node () is invalid.',
    want: "Type Error: Type 'tensor(float)' of input parameter (x) of operator (And) in node () is invalid.",
  },
  { name: 'keeps an unknown message', message: 'out of memory', want: 'out of memory' },
];

describe('loadWords', () => {
  for (const { name, message, want } of rows) it(name, () => assert.equal(loadWords(message), want));
});
