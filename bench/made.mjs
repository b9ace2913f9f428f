// The command, machine and time that results were made with.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

export function describeMaking() {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  return {
    command: ['npm run bench --', ...process.argv.slice(2)].join(' '),
    version,
    commit: describeCommit(),
    date: new Date().toISOString(),
    machine: {
      cores: cpus().length,
      cpu: cpus()[0].model.trim(),
      memoryBytes: totalmem(),
      kernel: `${process.platform} ${release()}`,
      node: process.version,
    },
  };
}

/** The checked-out commit, marked if the measured files differ from it. */
function describeCommit() {
  const quietly = { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] };
  const git = (...args) => execFileSync('git', args, quietly).trim();
  try {
    const isChanged = git('status', '--porcelain', 'src', 'bench', ':!bench/results') !== '';
    return `${git('rev-parse', 'HEAD')}${isChanged ? ' with changes' : ''}`;
  } catch {
    return 'not a checkout';
  }
}
