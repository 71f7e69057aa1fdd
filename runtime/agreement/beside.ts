/**
 * What a sidecar says with a request that must not be in a user's way, at the runtime's port for sidecars.
 *
 * Owns: the header's name. A request that has it is refused with NOT_IDLE while users' requests wait or run everywhere.
 */
export const besideHeader = 'x-onnx-beside-users';
