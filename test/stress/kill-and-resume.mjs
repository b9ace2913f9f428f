// Kills senders and receivers with SIGKILL at random moments, repeats the command, and compares:
// every round must end with identical files, and a repetition may send little more than what was
// missing.
//
//   npm run test:faults -- [rounds] [seed]
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRandom } from '../../dist/core.js';
import { killAll, portOf, sha256, startIn, wait } from './programs.mjs';

const [rounds = '100', seed = String(Date.now() % 1_000_000)] = process.argv.slice(2);
const receiverCount = 2;
const sizeBytes = 8_000_000;
/** Slow enough to avoid loss on loopback: duplicates are then caused by the resumption. */
const rate = '8MB';
/** The most a repetition may send beyond what was missing. */
const maxExcess = 0.02;

const folder = mkdtempSync(join(tmpdir(), 'p2mp-faults-'));
const start = startIn(join(folder, 'home'));
const random = createRandom(seed, 'kill and resume');

async function startReceiver(dir, port) {
  const receiver = start(['receive', '--open', '--dir', dir, '--port', String(port)]);
  return { ...receiver, dir, port: await portOf(receiver, 'receiver') };
}

async function playRound(number) {
  const base = join(folder, `round-${number}`);
  const source = `${base}-data file`;
  const bytes = Buffer.alloc(sizeBytes);
  for (let i = 0; i < sizeBytes; i += 4) bytes.writeUInt32LE(random() * 2 ** 32, i);
  writeFileSync(source, bytes);
  const receivers = [];
  for (let i = 0; i < receiverCount; i++) receivers.push(await startReceiver(`${base}-r${i}`, 0));
  const to = receivers.map(({ port }) => `127.0.0.1:${port}`).join(',');
  const send = () =>
    start(['send', source, '--to', to, '--open', '--rate', rate, '--give-up-after', '20']);

  const victim = Math.floor(random() * (receiverCount + 1));
  const comesBackAtOnce = random() < 0.5;
  let sender = send();
  await sender.event(({ event }) => event === 'connect');
  // A kill at any moment of the transfer, which takes 2 seconds at this rate, or after its end.
  await wait(random() * 2500);
  let resumed;
  if (victim === receiverCount) {
    sender.child.kill('SIGKILL');
    await sender.ended;
    resumed = sender = send();
  } else {
    const { child, ended, dir, port } = receivers[victim];
    child.kill('SIGKILL');
    await ended;
    if (!comesBackAtOnce) {
      sender.child.kill('SIGKILL');
      await sender.ended;
    }
    receivers[victim] = await startReceiver(dir, port);
    if (!comesBackAtOnce) resumed = sender = send();
  }
  const code = await sender.ended;
  const result = sender.events.find(({ event }) => event === 'result');
  const expected = sha256(source);
  const name = `round-${number}-data file`;
  const isIdentical = receivers.every(({ dir }) => {
    try {
      return sha256(join(dir, name)) === expected;
    } catch {
      return false;
    }
  });
  for (const { child, ended } of receivers) {
    child.kill('SIGKILL');
    await ended;
  }
  let sentBytes = 0;
  let missingBytes = 0;
  if (resumed !== undefined && result !== undefined) {
    sentBytes = result.bytesSent;
    for (const { receivedBytes } of result.receivers) missingBytes += receivedBytes;
  }
  for (const path of [source, ...receivers.map(({ dir }) => dir)])
    rmSync(path, { recursive: true });
  const who = victim === receiverCount ? 'sender' : `receiver ${victim + 1}`;
  const how = resumed === undefined ? 'comes back at once' : 'command repeated';
  return {
    isGood: code === 0 && isIdentical,
    sentBytes,
    missingBytes,
    what: `${who} killed, ${how}`,
    errors: sender.errors(),
  };
}

let identical = 0;
let sent = 0;
let missing = 0;
try {
  for (let number = 1; number <= Number(rounds); number++) {
    const { isGood, sentBytes, missingBytes, what, errors } = await playRound(number);
    if (isGood) identical++;
    else console.log(`round ${number}: ${what}: NOT identical everywhere\n${errors}`);
    sent += sentBytes;
    missing += missingBytes;
    if (process.stdout.isTTY) process.stdout.write(`\r${number} rounds, ${identical} identical `);
  }
} finally {
  killAll();
  rmSync(folder, { recursive: true, force: true });
}
const excess = missing === 0 ? 0 : sent / missing - 1;
console.log(
  `seed ${seed}: ${identical} of ${rounds} rounds identical; repetitions sent ${sent} bytes ` +
    `where ${missing} were missing: ${(100 * excess).toFixed(2)} % more`,
);
process.exitCode = identical === Number(rounds) && excess < maxExcess ? 0 : 1;
