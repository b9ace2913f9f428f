/** Array jobs: the manifest and the script, run as their schedulers run them. */
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { Job } from 'kubernetes-models/batch/v1';
import t, { type Test } from 'tap';
import { parse } from 'yaml';
import { unknownFields } from '../../support/kubernetes-fields.js';
import { distFolder, Program, projectFolder, startExperiment } from '../../support/processes.js';
import { experimentOf, readRuns, runInto } from '../../support/results.js';

t.jobs = 2;
const buffered = true;

const jobs = join(projectFolder, 'experiments/array-jobs');
const slurmScript = join(jobs, 'slurm-array.sh');

// biome-ignore lint/suspicious/noExplicitAny: the tests check the shape
function readManifest(): any {
  return parse(readFileSync(join(jobs, 'kubernetes-job.yaml'), 'utf8'));
}

const container = readManifest().spec.template.spec.containers[0];

t.test('the Kubernetes manifest is a valid Job', async (t) => {
  const manifest = readManifest();
  t.match(manifest, { apiVersion: 'batch/v1', kind: 'Job' });
  t.doesNotThrow(() => new Job(manifest).validate());
  t.same(unknownFields(t, manifest, 'batch/v1', 'IJob'), [], 'no field is unknown to Kubernetes');
});

t.test('an invalid manifest is rejected', async (t) => {
  const noTemplate = readManifest();
  delete noTemplate.spec.template;
  t.throws(() => new Job(noTemplate).validate(), /template/);

  const wrongType = readManifest();
  wrongType.spec.completions = '8';
  t.throws(() => new Job(wrongType).validate(), /completions/);

  const noName = readManifest();
  delete noName.spec.template.spec.containers[0].name;
  t.throws(() => new Job(noName).validate(), /name/);

  const unknown = readManifest();
  unknown.spec.template.spec.containers[0].resourcez = {};
  t.match(
    unknownFields(t, unknown, 'batch/v1', 'IJob').join('\n'),
    /resourcez.* does not exist in type 'IContainer'/,
  );
});

t.test('the manifest is consistent', async (t) => {
  const { completionMode, completions, parallelism, template } = readManifest().spec;
  t.equal(completionMode, 'Indexed');
  t.ok(parallelism <= completions);
  const env: { name: string; value: unknown }[] = container.env;
  const values = Object.fromEntries(env.map(({ name, value }) => [name, value]));
  t.strictSame(values['SHARDS'], String(completions), 'one shard for each index');
  const { volumes } = template.spec;
  t.same(
    container.volumeMounts.map(({ name }: { name: string }) => name),
    volumes.map(({ name }: { name: string }) => name),
  );
  t.equal(values['RESULTS'], container.volumeMounts[0].mountPath, 'results go to the volume');
  const args = [String(values['PLAN']), '--shard', `${completions}/${completions}`, '--dry-run'];
  t.equal((await startExperiment(t, args).exited).code, 0, 'p2mp knows the plan');
  const { version } = JSON.parse(readFileSync(join(projectFolder, 'package.json'), 'utf8'));
  t.match(container.image, new RegExp(`:${version.replaceAll('.', '\\.')}$`));
});

const plan = {
  title: 'Array job',
  seed: 'array job',
  repetitions: 4,
  fileSizeBytes: 20_000,
  receivers: [1, 2, 3],
  loss: 0.1,
};

interface Place {
  readonly folder: string;
  readonly plan: string;
  /** The folder of all shards. */
  readonly results: string;
  /** The environment of the scheduler, with p2mp on its PATH. */
  readonly path: string;
}

function prepare(t: Test): Place {
  const folder = t.testdir({ bin: {}, 'my results': {} });
  const command = join(folder, 'bin', 'p2mp');
  const script = join(distFolder, 'cli', 'p2mp.js');
  writeFileSync(command, `#!/bin/sh\nexec '${process.execPath}' '${script}' "$@"\n`);
  chmodSync(command, 0o755);
  const path = join(folder, 'my plan.json');
  writeFileSync(path, JSON.stringify(plan));
  return {
    folder,
    plan: path,
    results: join(folder, 'my results'),
    path: `${join(folder, 'bin')}${delimiter}${process.env['PATH']}`,
  };
}

/** Starts the shard with this number, counted from 0. */
type StartShard = (t: Test, place: Place, index: number, count: number) => Program;

const startInKubernetes: StartShard = (t, place, index, count) => {
  const [command, ...args] = container.command;
  const env = {
    PATH: place.path,
    PLAN: place.plan,
    RESULTS: place.results,
    SHARDS: String(count),
    JOB_COMPLETION_INDEX: String(index),
  };
  return new Program(t, command, args, { env, cwd: place.folder });
};

const startInSlurm: StartShard = (t, place, index, count) => {
  const env = {
    PATH: place.path,
    SLURM_ARRAY_TASK_ID: String(index + 1),
    SLURM_ARRAY_TASK_COUNT: String(count),
    SLURM_CPUS_PER_TASK: '2',
  };
  const args = [slurmScript, place.plan, place.results];
  return new Program(t, 'bash', args, { env, cwd: place.folder });
};

for (const [where, start] of [
  ['Kubernetes', startInKubernetes],
  ['Slurm', startInSlurm],
] as const) {
  t.test(`an array of ${where} gives the same results as one process`, { buffered }, async (t) => {
    const place = prepare(t);
    const { folder, results } = place;
    const programs = [0, 1, 2].map((index) => start(t, place, index, 3));
    const whole = join(folder, 'whole');
    await runInto(whole, experimentOf(plan));
    for (const { exited } of programs) {
      const { code, stderr } = await exited;
      t.equal(code, 0, stderr);
    }
    // As in the comments of both files.
    const merge = 'exec p2mp experiment merge "$1"/shard-* --out "$1"';
    const env = { PATH: place.path };
    const merging = new Program(t, 'sh', ['-c', merge, 'sh', results], { env });
    const { code, stderr } = await merging.exited;
    t.equal(code, 0, stderr);
    t.equal(readRuns(results), readRuns(whole));
    t.ok(existsSync(join(results, 'summary.csv')));
  });

  t.test(`a shard in ${where} that is stopped resumes`, { buffered }, async (t) => {
    const place = prepare(t);
    const slow = { ...plan, fileSizeBytes: 300_000, receivers: 60 };
    writeFileSync(place.plan, JSON.stringify(slow));
    const shard = join(place.results, 'shard-2-of-2');
    mkdirSync(shard);
    const program = start(t, place, 1, 2);
    await program.waitForFile(shard, /^runs\.csv$/);
    program.kill('SIGTERM');
    const { code, stderr } = await program.exited;
    t.equal(code, 130, 'p2mp itself gets the signal');
    t.match(
      stderr,
      / of 2 runs, saved in .*shard-2-of-2; to resume, run the same command again\n$/,
    );
    const again = await start(t, place, 1, 2).exited;
    t.equal(again.code, 0, again.stderr);
    const rows = readFileSync(join(shard, 'runs.csv'), 'utf8').split('\r\n');
    t.equal(rows.length, 1 + 2 + 1);
  });
}

for (const [what, args, line] of [
  ['plan', [], 'name a plan'],
  ['folder', ['quick'], 'name a folder'],
] as const) {
  t.test(`the Slurm script reports a missing ${what}`, async (t) => {
    const { code, stderr } = await new Program(t, 'bash', [slurmScript, ...args]).exited;
    t.not(code, 0);
    t.match(stderr, line);
  });
}
