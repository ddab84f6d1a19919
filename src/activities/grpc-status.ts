import { isGrpcServiceError } from '@temporalio/client';

/** The gRPC status NOT_FOUND. */
const NOT_FOUND = 5;

/** Returns true if Temporal answered that there is no such workflow, or namespace. */
export function isNotFound(error: unknown): boolean {
  const code: number | undefined = isGrpcServiceError(error) ? error.code : undefined;
  return code === NOT_FOUND;
}
