/**
 * The default names of the images that `npm run image` builds. The end-to-end tests look for an image of the runtime
 * with this name on the nodes of a cluster.
 */
export const defaultTag = 'localhost/onnx-runtime:dev';
export const defaultOperatorTag = 'localhost/onnx-operator:dev';
