/** The published package: packed, installed elsewhere, and used. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { dirname, join } from 'node:path';
import t from 'tap';
import { Program, projectFolder } from '../support/processes.js';

interface Packed {
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
}

/** The environment without the variables of the test runner. */
const env = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(npm_|NODE_OPTIONS$|_TAPJS|TAP)/i.test(name)),
);

function npm(cwd: string, ...args: string[]) {
  return spawnSync('env', ['-u', 'NODE_OPTIONS', 'npm', ...args], { cwd, env, encoding: 'utf8' });
}

function pack(folder: string): Packed {
  // The tests run on the current build; packing must not rebuild it meanwhile.
  const options = ['--ignore-scripts', '--json', '--pack-destination', folder];
  const { stdout, stderr } = npm(projectFolder, 'pack', ...options);
  const [packed] = JSON.parse(stdout || `"${stderr}"`);
  return packed;
}

/** The package, packed once for all tests. */
const packedFolder = t.testdir();
const packed = pack(packedFolder);

t.test('the package contains what users need, and nothing else', async (t) => {
  const paths = packed.files.map(({ path }) => path);
  const allowed = [
    /^dist\/.*\.(js|d\.ts|d\.ts\.map)$/,
    // Declaration maps refer to them.
    /^src\/.*\.ts$/,
    /^dist\/cli\/third-party-licenses\.txt$/,
    /^dist\/man\/p2mp[a-z-]*\.1$/,
    /^dist\/completions\/(p2mp\.(bash|fish)|_p2mp)$/,
    /^deploy\/(Dockerfile(\.dockerignore)?|(systemd|kubernetes)\/[a-z0-9-]+\.(service|env|yaml))$/,
    /^docs\/(.*\.(md|svg|png)|events\.schema\.json)$/,
    /^experiments\/(plans\/[a-z-]+|plan\.schema)\.json$/,
    /^experiments\/array-jobs\/[a-z-]+\.(sh|yaml)$/,
    // Documents show or name them.
    /^(experiments\/results\/receivers\/plot\.png|bench\/results\/results\.md)$/,
    /^examples\/[a-z-]+\.mjs$/,
    /^([A-Z]+(\.md)?|package\.json)$/,
  ];
  t.same(
    paths.filter((path) => !allowed.some((pattern) => pattern.test(path))),
    [],
  );
  t.same(
    paths
      .filter((path) => !/^(dist|src|deploy|docs|examples|experiments|bench)\//.test(path))
      .sort(),
    ['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json'],
  );
  const { bin, exports, man } = JSON.parse(
    readFileSync(join(projectFolder, 'package.json'), 'utf8'),
  );
  const named = [...Object.values<string>(bin), ...man];
  for (const entry of Object.values<Record<string, string>>(exports)) {
    named.push(...Object.values(entry));
  }
  for (const path of named) t.ok(paths.includes(path.replace(/^\.\//, '')), `${path} is there`);
  for (const path of Object.values<string>(bin)) {
    const [line] = readFileSync(join(projectFolder, path), 'utf8').split('\n');
    t.equal(line, '#!/usr/bin/env node', `${path} is executable`);
  }
});

t.test('links in packed documents lead to something in the package', async (t) => {
  const paths = new Set(packed.files.map(({ path }) => path));
  const read = (path: string) => readFileSync(join(projectFolder, path), 'utf8');
  const links = [...paths]
    .filter((path) => path.endsWith('.md'))
    .flatMap((path) =>
      [...read(path).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => ({ path, link })),
    )
    .filter(({ link }) => !/^[a-z]+:/.test(link));
  t.ok(links.length > 50, 'links were found');
  const broken = links.filter(({ path, link }) => {
    const [file = '', anchor] = link.split('#');
    const target = file === '' ? path : join(dirname(path), file);
    const isThere = paths.has(target) || [...paths].some((each) => each.startsWith(`${target}/`));
    return !isThere || (anchor !== undefined && !anchorsOf(read(target)).has(anchor));
  });
  t.strictSame(broken, []);
});

/** The anchors of a Markdown document: those that it names, and those of its headings as GitHub makes them. */
function anchorsOf(text: string): Set<string> {
  const named = [...text.matchAll(/<a id="([^"]+)">/g)].map(([, id = '']) => id);
  const headings = [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
  return new Set([...named, ...headings]);
}

t.test('linked commands are executable right after a build', async (t) => {
  const folder = t.testdir();
  const { bin } = JSON.parse(readFileSync(join(projectFolder, 'package.json'), 'utf8'));
  for (const [name, path] of Object.entries<string>(bin)) {
    // npm link creates such a link, and sets no mode when its target is built again.
    const link = join(folder, name);
    symlinkSync(join(projectFolder, path), link);
    const { code, stderr } = await new Program(t, link, ['--version']).exited;
    t.equal(code, 0, stderr);
    t.equal(statSync(link).mode & 0o755, 0o755, `everybody can execute ${name}`);
  }
});

t.test('the package works in an empty folder', async (t) => {
  const folder = t.testdir({ 'package.json': '{"private":true,"type":"module"}' });
  // No dependency needs its install script, so --ignore-scripts loses nothing.
  const quiet = ['--no-audit', '--no-fund', '--ignore-scripts'];
  const options = ['--prefer-offline', '--omit=dev', ...quiet];
  const install = npm(folder, 'install', ...options, join(packedFolder, packed.filename));
  if (/ENOTCACHED|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT/.test(install.stderr)) {
    t.pass('no registry, and the dependencies are not cached', { skip: true });
    return;
  }
  t.equal(install.status, 0, install.stderr);

  const { version } = JSON.parse(readFileSync(join(projectFolder, 'package.json'), 'utf8'));
  const npx = ['--no-install', 'p2mpserver', '--version'];
  const byNpx = await new Program(t, 'npx', npx, { cwd: folder }).exited;
  t.match(byNpx, { code: 0, stdout: `${version}\n` });
  const run = (name: string, ...args: string[]) =>
    new Program(t, join(folder, 'node_modules/.bin', name), args, { cwd: folder }).exited;
  t.match(await run('p2mpclient', '--help'), { code: 0, stdout: /^p2mpclient <server>/ });
  t.match(await run('p2mp', 'experiment', 'quick', '--out', 'results'), { code: 0 });
  t.ok(existsSync(join(folder, 'results', 'plot.png')), 'plans and plots are included');

  const script = join(folder, 'use.js');
  writeFileSync(
    script,
    `import { FileReceiver, sendFile } from 'p2mp';
    import * as core from 'p2mp/core';
    const receiver = await FileReceiver.open({ port: 0, path: 'copy', bind: ['127.0.0.1'] });
    const servers = receiver.addresses;
    const { receivers } = await sendFile({ servers, path: 'use.js', mssBytes: 500 });
    await receiver.close();
    console.log(receivers[0].status, typeof core.Sender, 'sendFile' in core);`,
  );
  const used = await new Program(t, process.execPath, [script], { cwd: folder }).exited;
  t.equal(used.stdout, 'complete function false\n', used.stderr);
  t.ok(existsSync(join(folder, 'copy')));
  t.ok(readFileSync(join(folder, 'copy')).equals(readFileSync(script)));

  const commonScript = join(folder, 'use.cjs');
  writeFileSync(
    commonScript,
    `import('p2mp').then(({ send }) => console.log(typeof send, typeof require.resolve('p2mp')));`,
  );
  const common = await new Program(t, process.execPath, [commonScript], { cwd: folder }).exited;
  t.equal(common.stdout, 'function string\n', common.stderr);
});

t.test('the core does not need Node', async (t) => {
  const seen = new Set<string>();
  const packages = new Set<string>();
  const visit = (path: string) => {
    if (seen.has(path)) return;
    seen.add(path);
    for (const [, name = ''] of readFileSync(path, 'utf8').matchAll(
      /^(?! *\*).*from '([^']+)'/gm,
    )) {
      if (name.startsWith('.')) visit(join(dirname(path), name));
      else packages.add(name);
    }
  };
  visit(join(projectFolder, 'dist/core.js'));
  t.ok(seen.size > 10, 'all of its files were visited');
  t.same([...packages].filter(isBuiltin), []);
});
