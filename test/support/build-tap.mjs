// tap is put together from its plugins, and comes with a loader of TypeScript that is slower than the one named in
// package.json. It notices that at its first run, too late for that run.
import { execFileSync } from 'node:child_process';
import t from 'tap';

// Building takes as long as it takes; to import tap is to run a test, which would time out after 30 s.
t.setTimeout(0);
if (t.pluginSignature.includes('@tapjs/typescript')) {
  execFileSync('npx', ['tap', 'build'], { stdio: 'inherit' });
}
