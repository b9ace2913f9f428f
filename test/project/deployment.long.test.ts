/**
 * Receivers as a systemd service, in a container and in Kubernetes: what the files in deploy/
 * start.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DockerfileParser } from 'dockerfile-ast';
import { validate } from 'dockerfile-utils';
import { DaemonSet } from 'kubernetes-models/apps/v1';
import t, { type Test } from 'tap';
import { parse } from 'yaml';
import { unknownFields } from '../support/kubernetes-fields.js';
import { Program, projectFolder } from '../support/processes.js';
import { SessionPlace } from '../support/session-commands.js';

t.jobs = 2;

const buffered = true;
const noSignals = process.platform === 'win32' && 'Windows has no such signals';
const deploy = join(projectFolder, 'deploy');
const { version } = JSON.parse(readFileSync(join(projectFolder, 'package.json'), 'utf8'));

/** The value of an option in a command line, after a blank or `=`. */
function optionOf(words: readonly string[], name: string): string | undefined {
  const index = words.findIndex((word) => word === `--${name}` || word.startsWith(`--${name}=`));
  return /=(.*)/.exec(words[index] ?? '')?.[1] ?? words[index + 1];
}

/**
 * Starts the command line for real on free ports, and stops it.
 * @param words after `p2mp receive`
 * @param places folders of the file, mapped to those of the test
 */
async function startsAndEnds(t: Test, words: readonly string[], places: Record<string, string>) {
  const place = new SessionPlace(t);
  const list = join(place.folder, 'authorized');
  writeFileSync(list, `send ${await place.keygen(place.senderHome)}`);
  const own: Record<string, string> = { ...places, '127.0.0.1:9735': '127.0.0.1:0' };
  const moved = words.map((word) => {
    for (const [name, other] of Object.entries(own)) {
      if (word.endsWith(name)) return word.slice(0, -name.length) + other;
    }
    return word.endsWith('/authorized_keys') ? word.replace(/[^=]*$/, list) : word;
  });
  const { program } = await place.receive([...moved, '--port', '0']);
  program.kill('SIGTERM');
  const { code, stderr } = await program.exited;
  t.equal(code, 0, stderr);
}

/** Removes `--dir` and its value, which the test sets itself. */
function withoutDir(words: readonly string[]): string[] {
  const index = words.indexOf('--dir');
  return words.filter((word, i) => !word.startsWith('--dir') && (index < 0 || i !== index + 1));
}

// --- systemd

const services = ['receive', 'serve', 'relay', 'relay-to'] as const;

const unitOf = (service: string) => join(deploy, `systemd/p2mp-${service}.service`);

/** Settings of a unit; all values of a repeated one. */
function settings(service: string, name: string): string[] {
  const lines = readFileSync(unitOf(service), 'utf8').split('\n');
  return lines
    .filter((line) => line.startsWith(`${name}=`))
    .map((line) => line.slice(name.length + 1));
}

function analyze(t: Test, ...args: string[]): string | undefined {
  const { status, stdout, stderr, error } = spawnSync('systemd-analyze', args, {
    encoding: 'utf8',
  });
  if ((error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') {
    t.pass('no systemd-analyze here', { skip: true });
    return undefined;
  }
  t.equal(status, 0, stderr);
  return `${stdout}${stderr}`;
}

/** The words of the unit's command, with the values of its variables. */
function commandOf(t: Test, service: string): string[] {
  const [execStart = ''] = settings(service, 'ExecStart');
  const [program, name, verb, ...words] = execStart.split(' ');
  t.same([program, name, verb], ['/usr/bin/env', 'p2mp', service.split('-')[0]]);
  const variables = new Map(
    settings(service, 'Environment').map((line) => line.split('=') as [string, string]),
  );
  t.match(variables.get('P2MP_HOME'), `%S/p2mp-${service}/`, 'in the StateDirectory');
  const file = readFileSync(join(deploy, `systemd/${service}.env`), 'utf8');
  for (const [, key = '', value = ''] of file.matchAll(/^#?(P2MP_\w+)=(.*)$/gm)) {
    if (!variables.has(key)) variables.set(key, value);
  }
  const expanded = words.flatMap((word) => {
    const value = variables.get(/^\$\{?(\w+)\}?$/.exec(word)?.[1] ?? '');
    return value?.split(' ') ?? [word];
  });
  t.notOk(
    expanded.some((word) => word.includes('$')),
    'every variable has a value',
  );
  return expanded;
}

for (const service of services) {
  const unit = unitOf(service);

  t.test(`${service}: systemd accepts the unit without warnings`, async (t) => {
    const said = analyze(t, 'verify', '--man=no', unit);
    if (said !== undefined) t.equal(said, '');
  });

  t.test(`${service}: systemd rates the unit as well isolated`, async (t) => {
    // 20 is an exposure of 2.0 out of 10; docs/OPERATIONS.md has the figure.
    const options = ['--offline=true', '--threshold=20', '--no-pager'];
    const said = analyze(t, 'security', ...options, unit);
    const level = new RegExp(`Overall exposure level for p2mp-${service}\\.service: [01]\\.`);
    if (said !== undefined) t.match(said, level);
  });

  t.test(`${service}: V8 may generate code in the unit`, async (t) => {
    t.same(settings(service, 'MemoryDenyWriteExecute'), [], 'Node would not start');
  });

  t.test(`${service}: the unit waits as long as the process may drain`, async (t) => {
    const [execStart = ''] = settings(service, 'ExecStart');
    const drainSeconds = Number(optionOf(execStart.split(' '), 'drain-timeout'));
    const [stopSeconds = ''] = settings(service, 'TimeoutStopSec');
    t.ok(Number.parseInt(stopSeconds, 10) >= drainSeconds + 5, 'with a margin for the disk');
    t.same(settings(service, 'SuccessExitStatus'), ['130'], 'suspended sessions are not a failure');
  });
}

t.test('the unit runs a valid p2mp receive', { buffered, skip: noSignals }, async (t) => {
  await startsAndEnds(t, withoutDir(commandOf(t, 'receive')), {});
});

t.test('the unit runs a valid p2mp serve', { buffered, skip: noSignals }, async (t) => {
  const place = new SessionPlace(t);
  const list = join(place.folder, 'authorized');
  writeFileSync(list, `fetch ${await place.keygen(place.senderHome)}`);
  const own: Record<string, string> = {
    '/etc/p2mp/authorized_keys': list,
    '127.0.0.1:9736': '127.0.0.1:0',
    '%C/p2mp-serve': join(place.folder, 'index'),
    '/srv/p2mp': place.sent,
  };
  const words = commandOf(t, 'serve').map((word) => own[word] ?? word);
  t.equal(words.at(-1), place.sent, 'the paths come last');
  const { program } = await place.serve(words);
  program.kill('SIGTERM');
  const { code, stderr } = await program.exited;
  t.equal(code, 0, stderr);
});

t.test('the unit runs a valid p2mp relay', { buffered, skip: noSignals }, async (t) => {
  const place = new SessionPlace(t);
  const list = join(place.folder, 'authorized');
  writeFileSync(list, `fetch ${await place.keygen(place.senderHome)}`);
  const own: Record<string, string> = {
    '/etc/p2mp/authorized_keys': list,
    '/etc/p2mp/known_receivers': join(place.folder, 'known'),
    '127.0.0.1:9737': '127.0.0.1:0',
    '%C/p2mp-relay': join(place.folder, 'cache'),
  };
  const words = commandOf(t, 'relay').map((word) => own[word] ?? word);
  const { program } = await place.relay(words);
  program.kill('SIGTERM');
  const { code, stderr } = await program.exited;
  t.equal(code, 0, stderr);
});

t.test('the unit runs a valid p2mp relay --to', { buffered, skip: noSignals }, async (t) => {
  t.same(settings('relay-to', 'ExecReload'), ['/bin/kill -HUP $MAINPID']);
  const place = new SessionPlace(t);
  const [list, hosts] = [join(place.folder, 'authorized'), join(place.folder, 'hosts')];
  writeFileSync(list, `send ${await place.keygen(place.senderHome)}`);
  writeFileSync(hosts, '127.0.0.1:7777\n');
  const own: Record<string, string> = {
    '/etc/p2mp/authorized_keys': list,
    '/etc/p2mp/known_receivers': join(place.folder, 'known'),
    '@/etc/p2mp/hosts.txt': `@${hosts}`,
    '127.0.0.1:9738': '127.0.0.1:0',
    '%S/p2mp-relay-to/passing': join(place.folder, 'passing'),
  };
  const words = commandOf(t, 'relay-to').map((word) => own[word] ?? word);
  const { program } = await place.relay(words);
  program.kill('SIGHUP');
  await program.waitFor(/1 receiver after SIGHUP/);
  program.kill('SIGTERM');
  const { code, stderr } = await program.exited;
  t.equal(code, 0, stderr);
});

// --- Docker

const dockerfile = readFileSync(join(deploy, 'Dockerfile'), 'utf8');
const instructions = DockerfileParser.parse(dockerfile).getInstructions();

/** Instructions of this kind in the final stage, which runs the program. */
function finalStage(keyword: string): string[] {
  const last = instructions.findLastIndex((each) => each.getKeyword() === 'FROM');
  return instructions
    .slice(last)
    .filter((each) => each.getKeyword() === keyword)
    .map((each) => each.getRawArgumentsContent() ?? '');
}

const entrypoint: string[] = JSON.parse(finalStage('ENTRYPOINT')[0] ?? '[]');

t.test('the Dockerfile is valid', async (t) => {
  t.same(validate(dockerfile), []);
  t.not(
    validate(dockerfile.replace('WORKDIR', 'WORKDIRR')).length,
    0,
    'the validator detects errors',
  );
});

t.test('the image has no root user, no compiler and no sources', async (t) => {
  const stages = instructions.filter((each) => each.getKeyword() === 'FROM');
  t.equal(stages.length, 3);
  t.same(finalStage('USER'), ['1000:1000'], 'a numeric user, which Kubernetes can check');
  const last = dockerfile.slice(dockerfile.lastIndexOf('\nFROM '));
  const copies = [...last.matchAll(/^COPY (.*)$/gm)].map(([, what]) => what);
  t.same(
    copies.filter((what) => !/^--from=(build|packages) /.test(what ?? '')),
    [],
    'only built files',
  );
  t.match(dockerfile, /^RUN npm ci --omit=dev /m);
  const ignored = readFileSync(join(deploy, 'Dockerfile.dockerignore'), 'utf8').split('\n');
  for (const name of ['.git', 'node_modules', 'dist']) t.ok(ignored.includes(name), name);
});

t.test('the image runs a valid p2mp command', { buffered, skip: noSignals }, async (t) => {
  const [name, verb, ...words] = entrypoint;
  t.same([name, verb], ['p2mp', 'receive']);
  await startsAndEnds(t, [...withoutDir(words), '--open'], {});
});

t.test('the health check of the image', { buffered, skip: noSignals }, async (t) => {
  const place = new SessionPlace(t);
  const { program } = await place.receive(['--open', '--json', '--metrics', '0']);
  const { address } = await program.waitForEvent('metrics');
  const [, check = '[]'] = /CMD\s+(\[.*\])/s.exec(finalStage('HEALTHCHECK')[0] ?? '') ?? [];
  const [command = '', ...args]: string[] = JSON.parse(check);
  t.match(args.join(' '), optionOf(entrypoint, 'metrics'), 'it queries the metrics address');
  const own = args.map((arg) => arg.replace('127.0.0.1:9735', String(address)));
  t.equal((await new Program(t, command, own).exited).code, 0, 'well');
  program.kill('SIGTERM');
  await program.exited;
  t.equal((await new Program(t, command, own).exited).code, 1, 'gone');
});

// --- Kubernetes

// biome-ignore lint/suspicious/noExplicitAny: the tests check the shape
function readManifest(): any {
  return parse(readFileSync(join(deploy, 'kubernetes/receivers.yaml'), 'utf8'));
}

const pod = readManifest().spec.template.spec;
const [receiver] = pod.containers;

t.test('the Kubernetes manifest is a valid DaemonSet', async (t) => {
  const manifest = readManifest();
  t.match(manifest, { apiVersion: 'apps/v1', kind: 'DaemonSet' });
  t.doesNotThrow(() => new DaemonSet(manifest).validate());
  t.same(unknownFields(t, manifest, 'apps/v1', 'IDaemonSet'), []);
  delete manifest.spec.selector;
  t.throws(() => new DaemonSet(manifest).validate(), /selector/, 'the validator detects errors');
});

t.test('the DaemonSet is consistent', async (t) => {
  const { selector, template, updateStrategy } = readManifest().spec;
  t.match(template.metadata.labels, selector.matchLabels);
  t.equal(updateStrategy.rollingUpdate.maxSurge, 0, 'the port is free before the next pod starts');
  t.equal(pod.hostNetwork, true, 'for multicast');
  const volumes = new Set(pod.volumes.map(({ name }: { name: string }) => name));
  for (const { image, volumeMounts } of [...pod.initContainers, ...pod.containers]) {
    t.equal(image, `p2mp:${version}`);
    for (const { name } of volumeMounts) t.ok(volumes.has(name), name);
  }
  t.ok(
    pod.terminationGracePeriodSeconds >= Number(optionOf(receiver.args, 'drain-timeout')) + 5,
    'as long as the receiver may drain, with a margin for the disk',
  );
  for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe']) {
    const { host, port, path } = receiver[probe].httpGet;
    t.equal(`${host}:${port}`, optionOf(receiver.args, 'metrics'), probe);
    t.match(path, /^\/(healthz|readyz)$/);
  }
  t.equal(receiver.readinessProbe.httpGet.path, '/readyz');
});

t.test('the receiver in the pod has no unnecessary privileges', async (t) => {
  t.match(pod.securityContext, { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
  t.match(receiver.securityContext, {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  });
  t.equal(pod.automountServiceAccountToken, false);
  const [user] = finalStage('USER');
  t.equal(`${pod.securityContext.runAsUser}:${pod.securityContext.runAsGroup}`, user);
});

t.test('the pod runs a valid p2mp command', { buffered, skip: noSignals }, async (t) => {
  t.same(receiver.command, ['p2mp', 'receive']);
  await startsAndEnds(t, withoutDir(receiver.args), { '$(NODE_NAME)': 'node1' });
});
