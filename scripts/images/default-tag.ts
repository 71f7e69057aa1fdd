/** The name that an image built here gets, and that the end-to-end stories look for on a cluster's nodes. */
export const defaultTag = 'localhost/onnx-runtime:dev';
