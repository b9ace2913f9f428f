// The tests of `npm run test:long`: sweeps, measurements, and programs that are killed or stopped at many moments. Each
// file takes some seconds of a processor.
import { runSuite } from './support/run-suite.mjs';

await runSuite(true);
