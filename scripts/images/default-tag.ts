/**
 * The default name of an image that `npm run image` builds. The end-to-end stories look for it on a cluster's nodes.
 */
export const defaultTag = 'localhost/onnx-runtime:dev';
