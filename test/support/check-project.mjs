// Runs what must hold before the tests: tap put together, lint, types, API docs and the build, at the same time. Prints
// the output of each when it ends, and fails if one of them fails.
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';

// The types of the tests are those of tap as it is put together.
const chains = [['build:tap', 'typecheck'], ['build', 'api:check'], ['lint']];

function run(script) {
  const child = spawn('npm', ['run', '-s', script], { shell: process.platform === 'win32' });
  const output = [];
  child.stdout.on('data', (bytes) => output.push(bytes));
  child.stderr.on('data', (bytes) => output.push(bytes));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      process.stdout.write(Buffer.concat(output));
      if (code !== 0) {
        console.error(`npm run ${script} failed`);
        process.exitCode = 1;
      }
      resolve();
    });
  });
}

async function runRest() {
  for (let chain = chains.shift(); chain !== undefined; chain = chains.shift()) {
    for (const script of chain) await run(script);
  }
}

await Promise.all(Array.from({ length: availableParallelism() }, runRest));
