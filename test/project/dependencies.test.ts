/** What comes with an installation: pinned, checked by digest, and run by nobody before the user does. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { projectFolder } from '../support/processes.js';

interface LockedPackage {
  readonly version?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly link?: boolean;
  readonly inBundle?: boolean;
  readonly hasInstallScript?: boolean;
}

const readJson = (name: string) => JSON.parse(readFileSync(join(projectFolder, name), 'utf8'));
const manifest = readJson('package.json');
const lock: { packages: Record<string, LockedPackage>; lockfileVersion: number } =
  readJson('package-lock.json');
const locked = Object.entries(lock.packages).filter(([path]) => path !== '');
const nameOf = (path: string) => path.slice(path.lastIndexOf('node_modules/') + 13);

t.test('every package is pinned, with the digest of its bytes', (t) => {
  t.ok(locked.length > 100, `${locked.length} packages`);
  const bad = locked.filter(([, { version, integrity = '', resolved = '', link, inBundle }]) => {
    // What lies within another's archive has that one's digest.
    if (inBundle === true) return false;
    const isPinned = /^\d+\.\d+\.\d+/.test(version ?? '');
    const hasDigest = /^sha512-[A-Za-z0-9+/]{86}==$/.test(integrity);
    return link === true || !isPinned || !hasDigest || !/^https:|^$/.test(resolved);
  });
  t.same(
    bad.map(([path]) => path),
    [],
  );
  t.end();
});

t.test('the lock file is of these dependencies', (t) => {
  const root = lock.packages[''] as Record<string, unknown>;
  for (const kind of ['dependencies', 'devDependencies', 'optionalDependencies']) {
    t.same(root[kind], manifest[kind], kind);
  }
  t.end();
});

t.test('the package runs nothing when it is installed', (t) => {
  // `prepack` runs where it is packed, not where it is installed.
  const scripts = Object.keys(manifest.scripts);
  t.same(
    scripts.filter((name) => /install|prepare|prepublish/.test(name)),
    [],
  );
  t.equal(manifest.gypfile, undefined);
  t.equal(manifest.bundleDependencies ?? manifest.bundledDependencies, undefined);
  t.end();
});

t.test('of what it brings, one package has an install script, and can do without it', (t) => {
  const withScript = locked.filter(([, { hasInstallScript }]) => hasInstallScript === true);
  const brought = withScript.filter(([, { dev }]) => dev !== true);
  t.same(
    brought.map(([path, { optional }]) => [nameOf(path), optional]),
    // Its binaries lie in packages of their own; without them it is left out, and plain sockets serve.
    [['koffi', true]],
  );
  t.end();
});
