// The tests of `npm test`.
import { runSuite } from './support/run-suite.mjs';

await runSuite(false);
