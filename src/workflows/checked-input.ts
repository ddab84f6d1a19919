import type { z } from 'zod';
import { withAdvice } from '../contract/failures.ts';
import { InputError, parseInput } from '../contract/parse-input.ts';
import { ofKind } from './failure.ts';

/** The input as its schema reads it; what does not fit ends the workflow, and says so in the words of its author. */
export function checked<Schema extends z.ZodType>(
  schema: Schema,
  request: unknown,
  example: z.input<Schema>,
): z.output<Schema> {
  try {
    return parseInput(schema, request, example);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw ofKind('InvalidInput', withAdvice('InvalidInput', error.message));
  }
}
