// Loaded before each test file. tap ends a file that takes too long by SIGALRM; this says what the file waited for.
import { writeSync } from 'node:fs';

process.once('SIGALRM', () => {
  writeSync(2, `took too long; still open: ${process.getActiveResourcesInfo().join(', ')}\n`);
  // By the signal, as if this had not been here.
  process.kill(process.pid, 'SIGALRM');
});
