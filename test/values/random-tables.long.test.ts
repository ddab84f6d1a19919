// @module-tag long
import { randomTablesSuite } from './random-tables-suite.ts';

randomTablesSuite(50);
