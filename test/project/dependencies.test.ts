/** Dependencies are pinned, verified by digest, and run nothing during installation. */
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

t.test('every package is pinned, with the digest of its content', (t) => {
  t.ok(locked.length > 100, `${locked.length} packages`);
  const bad = locked.filter(([, { version, integrity = '', resolved = '', link, inBundle }]) => {
    // Packages bundled in another archive are covered by the digest of that archive.
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

t.test('the lock file matches the dependencies', (t) => {
  const root = lock.packages[''] as Record<string, unknown>;
  for (const kind of ['dependencies', 'devDependencies', 'optionalDependencies']) {
    t.same(root[kind], manifest[kind], kind);
  }
  t.end();
});

t.test('the package runs no scripts when it is installed', (t) => {
  // `prepack` runs on packing, not on installation.
  const scripts = Object.keys(manifest.scripts);
  t.same(
    scripts.filter((name) => /install|prepare|prepublish/.test(name)),
    [],
  );
  t.equal(manifest.gypfile, undefined);
  t.equal(manifest.bundleDependencies ?? manifest.bundledDependencies, undefined);
  t.end();
});

t.test('only one dependency has an install script, and it is optional', (t) => {
  const withScript = locked.filter(([, { hasInstallScript }]) => hasInstallScript === true);
  const brought = withScript.filter(([, { dev }]) => dev !== true);
  t.same(
    brought.map(([path, { optional }]) => [nameOf(path), optional]),
    // Its binaries are separate packages; without them it is not installed, and plain sockets are
    // used.
    [['koffi', true]],
  );
  t.end();
});
