// p2mp fetch through p2mp relay, against the same without it; nginx as a caching proxy beside it. Each host's link has a
// rate at which it sends, so what a relay reports to the host before it shares the link with what it passes on.
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startCommand, tail } from './commands.mjs';
import { Lab } from './lab.mjs';
import { median } from './processes.mjs';
import { programs } from './relay-programs.mjs';
import { withServedFile } from './served-file.mjs';
import { findMissing } from './tools.mjs';

const rateMbit = 100;
const readyMs = 20_000;
const limitMs = 300_000;

/** Time for the clients to start up. */
const startUpMs = 1500;

/** A client counts as served from when so much of the content has arrived. */
const firstBytes = 10_000;

/** A client's request follows two datagrams of a handshake, or SYN and ACK. */
const sentBeforeRequest = 2;

const scenes = [
  { name: 'direct', relayCount: 0, clientCount: 1 },
  { name: 'one relay', relayCount: 1, clientCount: 1 },
  { name: 'three relays', relayCount: 3, clientCount: 1 },
  { name: 'hit', relayCount: 1, clientCount: 1, isHit: true },
  { name: 'eight clients at once', relayCount: 1, clientCount: 8 },
];

const needs = { p2mp: [], nginx: ['nginx', 'curl'] };

export async function benchRelay({ runs = 3, sizeMb = 200, only = Object.keys(programs) }) {
  await withServedFile(sizeMb, async (place) => {
    console.log(
      `${sizeMb} MB; each host sends at ${rateMbit} Mbit/s; the origin sends: of the object`,
    );
    const usable = [];
    for (const id of only) {
      const missing = await findMissing(needs[id]);
      if (missing.length === 0) usable.push(id);
      else console.log(`${id} is skipped: ${missing.join('; ')}`);
    }
    const results = new Map();
    // The runs of the scenes alternate, so that other work on the machine disturbs all of them alike.
    for (let run = 0; run < runs; run++) {
      for (const scene of scenes) {
        for (const id of usable) {
          const key = `${scene.name}: ${id}`;
          const result = await runScene(programs[id], scene, { ...place, sizeMb });
          results.set(key, [...(results.get(key) ?? []), result]);
        }
      }
    }
    for (const id of usable) print(id, results);
  });
}

function print(id, results) {
  const directS = median(results.get(`direct: ${id}`).map(({ elapsedS }) => elapsedS));
  for (const { name, isHit } of scenes) {
    const all = results.get(`${name}: ${id}`);
    const of = (field) => all.map((each) => each[field]);
    const list = (values, digits) => values.map((value) => value.toFixed(digits)).join(' ');
    const elapsedS = median(of('elapsedS'));
    const origin = isHit
      ? `the origin sent ${median(of('originBytes'))} bytes (${of('originBytes').join(' ')})`
      : `the origin sent ${median(of('originShare')).toFixed(4)} (${list(of('originShare'), 4)})`;
    console.log(
      `${name}: ${id} ${elapsedS.toFixed(2)} s (${list(of('elapsedS'), 2)}), ` +
        `${(elapsedS / directS).toFixed(3)} of direct; ${origin}; ` +
        `first bytes ${median(of('firstMs')).toFixed(0)} ms after the request (${list(of('firstMs'), 0)}), ` +
        `${median(of('connectMs')).toFixed(0)} ms after the first datagram (${list(of('connectMs'), 0)}), ` +
        `${median(of('startMs')).toFixed(0)} ms after the start (${list(of('startMs'), 0)})`,
    );
  }
}

async function runScene(program, scene, { data, folder, sizeMb }) {
  const { relayCount, clientCount, isHit = false } = scene;
  const work = mkdtempSync(join(folder, 'run-'));
  const lab = new Lab({ hostCount: 1 + relayCount + clientCount });
  const commands = [];
  const residents = [];
  try {
    for (let host = 0; host <= relayCount; host++) {
      lab.limitRate(host, rateMbit);
      const { words, isReady } =
        host === 0
          ? program.server(lab, host, { data, work })
          : program.relay(lab, host, host - 1, { work });
      const command = startCommand(words);
      commands.push(command);
      await command.until(isReady, readyMs);
    }
    const fetchAll = async (into) => {
      const atMs = Date.now() + startUpMs;
      const clients = Array.from({ length: clientCount }, (_, i) => {
        const words = program.client(lab, relayCount + 1 + i, relayCount, {
          ...{ atMs, dir: join(work, `${into}${i}`) },
        });
        return startCommand(words, { limitMs });
      });
      const leastBytes = firstBytes + program.bytesBefore(sizeMb * 1e6);
      const first = settle(lab, relayCount + 1, residents).then((pid) =>
        watchFirstBytes(pid, leastBytes, atMs),
      );
      const all = await Promise.all(clients.map(({ ended }) => ended));
      for (const [i, result] of all.entries()) {
        if (result.code !== 0) throw new Error(`a client ended with ${result.code}${tail(result)}`);
        execFileSync('cmp', [data, join(work, `${into}${i}`, 'data')]);
      }
      const elapsedS = Math.max(...all.map((result) => program.elapsedS(result)));
      return { elapsedS, ...(await first) };
    };
    if (isHit) {
      await fetchAll('before');
      // What the first client says at its end is not part of the hit.
      await sleep(1000);
    }
    const origin = await settle(lab, 0, residents);
    const before = readCounters(origin).sentBytes;
    const result = await fetchAll('out');
    const originBytes = readCounters(origin).sentBytes - before;
    return { ...result, originBytes, originShare: originBytes / (sizeMb * 1e6) };
  } finally {
    await Promise.all(commands.map(({ stop }) => stop()));
    for (const each of residents) each.kill('SIGKILL');
    lab.close();
    rmSync(work, { recursive: true, force: true });
  }
}

/** /proc shows a network's counters through a process that lives in it. @returns its process number */
export async function settle(lab, host, residents) {
  const [command, ...words] = lab.on(host);
  const child = spawn(command, [...words, 'sleep', 'infinity'], { stdio: 'ignore' });
  residents.push(child);
  const networkOf = (pid) => readlinkSync(`/proc/${pid}/ns/net`);
  while (networkOf(child.pid) === networkOf('self')) await sleep(1);
  return child.pid;
}

/**
 * @param leastBytes what has arrived when the content has begun to
 * @param atMs when the client starts
 * @returns the time until then, from the request, from the first datagram or segment that a host sends, and from the
 *   start
 */
async function watchFirstBytes(pid, leastBytes, atMs) {
  const start = readCounters(pid);
  let beganAtMs;
  let requestedAtMs;
  for (;;) {
    const { sentCount, receivedBytes } = readCounters(pid);
    const nowMs = Date.now();
    if (sentCount > start.sentCount) beganAtMs ??= nowMs;
    if (sentCount - start.sentCount > sentBeforeRequest) requestedAtMs ??= nowMs;
    if (receivedBytes - start.receivedBytes >= leastBytes)
      return {
        firstMs: nowMs - (requestedAtMs ?? nowMs),
        connectMs: nowMs - (beganAtMs ?? nowMs),
        startMs: nowMs - atMs,
      };
    await sleep(1);
  }
}

/**
 * What the interface of a process's network has sent and received, with the headers of Ethernet, and how many datagrams of
 * UDP and segments of TCP it has sent. What IPv6 sends when an interface begins is not among the latter.
 */
export function readCounters(pid) {
  const line = readFileSync(`/proc/${pid}/net/dev`, 'utf8')
    .split('\n')
    .find((text) => text.trimStart().startsWith('eth0:'));
  const numbers = (line?.split(':')[1] ?? '0').trim().split(/\s+/).map(Number);
  const snmp = readFileSync(`/proc/${pid}/net/snmp`, 'utf8').split('\n');
  const countOf = (protocol, name) => {
    const [names, values] = snmp
      .filter((text) => text.startsWith(`${protocol}: `))
      .map((text) => text.split(' '));
    return Number(values[names.indexOf(name)]);
  };
  const sentCount = countOf('Udp', 'OutDatagrams') + countOf('Tcp', 'OutSegs');
  const [receivedBytes, , , , , , , , sentBytes = 0, sentPackets = 0] = numbers;
  return { receivedBytes, sentBytes, sentPackets, sentCount };
}
