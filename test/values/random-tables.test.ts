import { randomTablesSuite } from './random-tables-suite.ts';

/** The long suite has more. */
randomTablesSuite(5);
