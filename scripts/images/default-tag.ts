/**
 * The default name of an image that `npm run image` builds. The end-to-end tests look for an image with this name on
 * the nodes of a cluster.
 */
export const defaultTag = 'localhost/onnx-runtime:dev';
