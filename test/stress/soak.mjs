// Runs sessions in sequence in one process for a given time: memory, descriptors and timers at the
// end must be as they were after the warm-up.
//
//   npm run test:soak -- [seconds] [seed]
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRandom, generateKeyPair, receive, send } from '../../dist/index.js';

const [seconds = '30', seed = String(Date.now() % 1_000_000)] = process.argv.slice(2);
const sessionsPerSample = 25;
const receiverCount = 2;
/** On any machine: the first quarter is the warm-up, and the second is compared with the last. */
const leastSampleCount = 8;
/** The noise of the allocator and of compiled code. */
const maxGrowth = 0.05;
const slackBytes = 2 * 1024 * 1024;

if (globalThis.gc === undefined) throw new Error('run it with node --expose-gc');
const { gc } = globalThis;
const random = createRandom(seed, 'soak');
const folder = mkdtempSync(join(tmpdir(), 'p2mp-soak-'));
const sources = createSources(join(folder, 'sent'));
const samples = [];

try {
  await soak();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
judge();

async function soak() {
  const keyPair = await generateKeyPair();
  const options = { port: 0, bind: ['127.0.0.1'], keyPair, trustSender: () => true };
  const dirs = Array.from({ length: receiverCount }, (_, i) => join(folder, `in ${i}`));
  const receivings = [];
  for (const dir of dirs) receivings.push(await receive({ ...options, dir }));
  const receivers = receivings.map(({ addresses: [{ host, port }] }) => ({ host, port }));
  const endsAtMs = performance.now() + 1000 * Number(seconds);
  const isDone = () => performance.now() >= endsAtMs && samples.length >= leastSampleCount;
  for (let count = 1; !isDone(); count++) {
    await runSession(receivers);
    if (count % sessionsPerSample !== 0) continue;
    await sample(count);
    for (const dir of dirs)
      for (const name of readdirSync(dir)) rmSync(join(dir, name), { recursive: true });
  }
  for (const receiving of receivings) await receiving.close('the soak is over');
}

/** Most sessions are complete; some are interrupted, and some have a missing receiver. */
async function runSession(receivers) {
  const abort = new AbortController();
  const kind = random();
  const paths = [sources[Math.floor(random() * sources.length)]];
  const asked = kind < 0.02 ? [...receivers, { host: '127.0.0.1', port: 9 }] : receivers;
  if (kind > 0.9) setTimeout(() => abort.abort(), 20 * random());
  const result = await send({
    paths,
    receivers: asked,
    trustReceiver: () => true,
    existing: 'overwrite',
    // Longer than a busy machine delays disk access of a receiver.
    livenessTimeoutMs: 5000,
    signal: abort.signal,
  }).catch((error) => {
    // A session that is aborted rejects at every stage.
    if (abort.signal.aborted && error === abort.signal.reason) return undefined;
    throw error;
  });
  if (result === undefined) return;
  const complete = result.receivers.filter(({ status }) => status === 'complete').length;
  if (!abort.signal.aborted && complete !== receivers.length) {
    throw new Error(
      `seed ${seed}: ${complete} of ${receivers.length} complete: ${JSON.stringify(result)}`,
    );
  }
}

async function sample(count) {
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    gc();
  }
  const { heapUsed, arrayBuffers, rss } = process.memoryUsage();
  const descriptors = process.platform === 'linux' ? readdirSync('/proc/self/fd').length : 0;
  const resources = process.getActiveResourcesInfo().length;
  samples.push({ count, heldBytes: heapUsed + arrayBuffers, rss, descriptors, resources });
}

function judge() {
  const part = Math.floor(samples.length / 4);
  if (part === 0) throw new Error(`${samples.length} samples: give it more time`);
  const early = samples.slice(part, 2 * part);
  const late = samples.slice(-part);
  const of = (rows, field) => median(rows.map((row) => row[field]));
  const rows = [
    { name: 'held after gc', field: 'heldBytes', isBytes: true, slack: slackBytes },
    // The collector grows its heap for a while; leaks show here over an hour.
    { name: 'resident', field: 'rss', isBytes: true, slack: 16 * slackBytes },
    { name: 'descriptors', field: 'descriptors', slack: 0 },
    // A receiver has one timer while it keeps any session state.
    { name: 'timers, sockets and requests', field: 'resources', slack: receiverCount },
  ];
  console.log(`seed ${seed}: ${samples.at(-1).count} sessions in ${seconds} s`);
  for (const { name, field, isBytes = false, slack } of rows) {
    const [before, after] = [of(early, field), of(late, field)];
    const isGood = after <= before * (isBytes ? 1 + maxGrowth : 1) + slack;
    const format = (value) => (isBytes ? `${(value / 1e6).toFixed(1)} MB` : value);
    console.log(
      `  ${name}: ${format(before)} early, ${format(after)} late${isGood ? '' : ': IT GROWS'}`,
    );
    if (!isGood) process.exitCode = 1;
  }
}

function createSources(sent) {
  mkdirSync(join(sent, 'folder'), { recursive: true });
  const sizes = { empty: 0, small: 900, middle: 300_000, large: 3_000_000 };
  const bytes = Uint8Array.from({ length: sizes.large }, () => random() * 256);
  for (const [name, size] of Object.entries(sizes))
    writeFileSync(join(sent, name), bytes.subarray(0, size));
  for (let i = 0; i < 20; i++)
    writeFileSync(join(sent, 'folder', `file ${i}`), bytes.subarray(0, 100 * i));
  return [...Object.keys(sizes), 'folder'].map((name) => join(sent, name));
}

function median(values) {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
}
