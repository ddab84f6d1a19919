import type { z } from 'zod';

/** Refuses the value of a key, with a message. */
export type Refuse = (key: string, message: string) => void;

/** Returns a check for a schema of an object, for what its keys may not be together. */
export const together =
  <Input>(check: (input: Input, refuse: Refuse) => void) =>
  ({ value, issues }: z.core.ParsePayload<Input>): void =>
    check(value, (key, message) => {
      issues.push({ code: 'custom', input: value, path: [key], message });
    });
