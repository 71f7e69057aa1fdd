/** The real engine process, except that it ignores the request to end a run. */
import { NativeRequest } from '../../runtime/engine/process/native-request.ts';

NativeRequest.prototype.cancel = () => {};

await import('../../runtime/engine/process/program.ts');
