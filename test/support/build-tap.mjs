// tap is put together from its plugins, and comes with a loader of TypeScript that is slower than the one named in
// package.json. It notices that at its first run, too late for that run.
import { execFileSync } from 'node:child_process';
import t from 'tap';

if (t.pluginSignature.includes('@tapjs/typescript')) {
  execFileSync('npx', ['tap', 'build'], { stdio: 'inherit' });
}
