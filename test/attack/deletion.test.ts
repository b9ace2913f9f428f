/**
 * Malicious peers in sessions that delete. A sender cannot name what a receiver deletes: it can only spare entries of
 * the receiver's own list. A receiver cannot make its sender do anything.
 */
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { generateKeyPair } from '../../src/index.js';
import { createNodeCrypto } from '../../src/node/keys/node-crypto.js';
import { SocketRunner } from '../../src/node/net/socket-runner.js';
import type { Entry } from '../../src/object/manifest.js';
import { createManifest, encodeManifest } from '../../src/object/manifest.js';
import { SessionReceiver } from '../../src/session/receiver.js';
import type { SessionReceiverEvent } from '../../src/session/receiver-events.js';
import { SessionSender } from '../../src/session/sender.js';
import type {
  SessionReceiverOutcome,
  SessionSenderEvent,
} from '../../src/session/sender-events.js';
import { createSimulatedCrypto } from '../../src/simulator/session-crypto.js';
import type { Extra } from '../../src/wire/lists.js';
import type { Message } from '../../src/wire/messages.js';
import { encodeMessage } from '../../src/wire/messages.js';
import type { Deletion } from '../../src/wire/offer.js';
import { Caller } from '../support/caller.js';
import { SessionHost } from '../support/session-host.js';
import { receiverAddress, SessionWire } from '../support/session-wire.js';

const crypto = await createNodeCrypto(await generateKeyPair());

const folder = (name: string): Entry => ({ kind: 'folder', name, mode: 0o755, modifiedMs: 0 });

/** Sends a manifest of empty folders, whatever their names are, and spares nothing. */
async function sendFolders(host: SessionHost, names: readonly string[], deletion: Deletion) {
  const sender = new SessionSender({
    label: 'bad',
    receivers: [{ name: 'r', address: { host: '127.0.0.1', port: host.spec().port } }],
    manifest: encodeManifest(createManifest(names.map(folder))),
    contentSizeBytes: 0,
    ...{ crypto, deletion, mssBytes: 1000, livenessTimeoutMs: 5000 },
  });
  let runner: SocketRunner<SessionSenderEvent> | undefined;
  const outcome = await new Promise<SessionReceiverOutcome>((resolve) => {
    const handleEvent = (event: SessionSenderEvent) => {
      const nowMs = runner?.nowMs ?? 0;
      if (event.type === 'identify') sender.trust(nowMs, event.index);
      else if (event.type === 'check-source') sender.confirmSource(nowMs);
      else if (event.type === 'receiver') resolve(event.outcome);
    };
    void SocketRunner.open({
      ...{ machine: sender, bind: ['127.0.0.1'], port: 0, handleEvent },
      handleSendError: () => undefined,
    }).then((opened) => {
      runner = opened;
      opened.drain();
    });
  });
  await runner?.close();
  return outcome;
}

function make(dir: string, ...names: readonly string[]): void {
  for (const name of names) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), name);
  }
}

t.test('a sender that names what is not its own', async (t) => {
  const root = t.testdir({ outside: { kept: 'x' } });
  const dir = join(root, 'in');
  const key = join(dir, 'keys');
  const host = await SessionHost.open(t, dir, { mayDelete: () => true, protectedPaths: [key] });
  const kept = [
    'top',
    'other/x',
    'keys/receiver',
    'a/.p2mp-part/x/journal',
    '.p2mp-part/x/journal',
  ];
  make(dir, ...kept);
  symlinkSync('../outside', join(dir, 'link'));
  symlinkSync('..', join(dir, 'a/up'));
  const attempts: readonly [names: readonly string[], outcome: RegExp][] = [
    [['..'], /^refused dot-name/],
    [['.'], /^refused dot-name/],
    [['a', 'a/..'], /^refused dot-name/],
    [[''], /^refused empty-name/],
    [['/etc'], /^refused absolute-name/],
    [['a/'], /^refused empty-name/],
    [['outside\0'], /^refused nul-in-name/],
    [['a', 'a'], /^refused name-conflict/],
    [['a/.p2mp-part'], /^refused name-conflict/],
    [['link'], /^refused .*is a symbolic link/],
    [['a', 'a/up'], /^refused .*is a symbolic link/],
    [['keys'], /^complete 0/],
    [['a', 'a/.p2mp-part', 'a/.p2mp-part/x'], /^complete [01]/],
  ];
  for (const deletion of ['list', 'delete'] as const) {
    for (const [names, expected] of attempts) {
      const { status, reason, deletedEntries } = await sendFolders(host, names, deletion);
      t.match(`${status} ${reason ?? deletedEntries}`, expected, `${deletion} ${names.join()}`);
    }
    // Listing reveals nothing of the parts either.
    const { status, deletedEntries } = await sendFolders(
      host,
      ['.p2mp-part', '.p2mp-part/x'],
      deletion,
    );
    t.equal(deletedEntries, 0);
    t.equal(status, deletion === 'list' ? 'complete' : 'refused');
  }
  for (const name of kept) t.ok(existsSync(join(dir, name)), name);
  t.ok(existsSync(join(root, 'outside/kept')));
});

/** A receiver that awaits the answers to its list of 100 entries. */
function openListing(deletion: Deletion, mayDelete = true) {
  const machine = new SessionReceiver({
    ...{ crypto: createSimulatedCrypto('lies', 'receiver'), name: 'r', platform: 'posix' },
    ...{ refuseSender: () => undefined, mayDelete: () => mayDelete },
  });
  const caller = new Caller(machine, 1);
  const { manifest, digest } = manifestOf(caller);
  caller.sendMessage({
    ...{ kind: 'offer', session: 1, label: '', mssBytes: 1000, contentSizeBytes: 0 },
    ...{ manifestSizeBytes: manifest.length, manifestDigest: digest, manifest },
    ...{ groupKey: new Uint8Array(32), reportIntervalMs: 1 },
    ...{ existing: 'update', deletion, listedAtMs: 0 },
  });
  const extras: Extra[] = Array.from({ length: 100 }, (_, i) => ({
    ...{ name: `a/${i}`, isFolder: false },
  }));
  extras.push({ name: 'a', isFolder: true });
  machine.find(1)?.prepared(0, [], [], { extras });
  const events: SessionReceiverEvent[] = [];
  const hear = () => {
    for (let next = machine.pollEvent(); next !== undefined; next = machine.pollEvent()) {
      events.push(next);
    }
    return events;
  };
  return { machine, caller, extras, hear };
}

function manifestOf({ crypto: { hash } }: Caller) {
  const manifest = encodeManifest(createManifest([folder('a')]));
  return { manifest, digest: hash(manifest) };
}

t.test('answers that a sender makes up', (t) => {
  const { caller, extras, hear } = openListing('list');
  const say = (message: Message | Uint8Array) => caller.sendMessage(message);
  const noted = (part: number, ...spared: number[]) => say({ kind: 'noted', part, spared });
  // Parts that do not exist or were not sent, and a list of the sender's own.
  for (const part of [99, 2 ** 40, 2 ** 53 - 1]) noted(part, 0);
  say({ kind: 'extras', part: 0, extras: [{ name: '../x', isFolder: false }] });
  say({ kind: 'extras', part: 99, extras: [{ name: '/etc', isFolder: true }] });
  say({ kind: 'done', isComplete: true, ...noFigures, reason: '', undeleted: [] });
  // Places beyond the part, repeated ones, and the same part twice with another answer.
  noted(0, 255, 5, 5, 200);
  noted(0, 6);
  for (let part = 1; part < 20; part++) noted(part);
  noted(0, 7);
  const results = hear().flatMap((event) => (event.type === 'end' ? [event.result] : []));
  t.match(results, [{ status: 'listed', deletedEntries: 99 }]);
  const names = extras.map(({ name }) => name).filter((name) => !['a/5', 'a'].includes(name));
  t.strictSame(
    results[0]?.deletion?.deletedNames,
    names,
    'the first answer counts; the folder stays',
  );
  t.end();
});

const noFigures = {
  ...{ segmentsReceived: 0, segmentsLost: 0, receivedBytes: 0 },
  ...{ unchangedFiles: 0, deletedEntries: 9, undeletedEntries: 9 },
};

t.test('a sender that does not answer, or not all: nothing is finished', (t) => {
  for (const parts of [[], [0], [1, 2, 3]]) {
    const { caller, hear } = openListing('delete');
    for (const part of parts) caller.sendMessage({ kind: 'noted', part, spared: [] });
    caller.sendMessage({ kind: 'root', digest: new Uint8Array(32) });
    caller.sendMessage({ kind: 'bye', reason: '', isFinal: false });
    t.notOk(
      hear().some(({ type }) => type === 'finish'),
      parts.join(),
    );
    t.ok(hear().some((event) => event.type === 'end' && event.result.status === 'failed'));
  }
  t.end();
});

t.test('a second offer in the same session does not turn on deletion', (t) => {
  const { machine, caller, hear } = openListing('none', false);
  const { manifest, digest } = manifestOf(caller);
  caller.sendMessage({
    ...{ kind: 'offer', session: 1, label: '', mssBytes: 1000, contentSizeBytes: 0 },
    ...{ manifestSizeBytes: manifest.length, manifestDigest: digest, manifest },
    ...{ groupKey: new Uint8Array(32), reportIntervalMs: 1 },
    ...{ existing: 'update', deletion: 'delete', listedAtMs: 0 },
  });
  const prepared = hear().flatMap((event) => (event.type === 'prepare' ? [event.deletion] : []));
  t.strictSame(prepared, ['none']);
  t.equal(machine.activeCount, 1);
  t.end();
});

t.test('a receiver that lies about what it would delete', (t) => {
  const asked: string[] = [];
  let liesLeft = 3000;
  const wire = new SessionWire({
    sender: {
      deletion: 'list',
      isSpared: (name) => {
        asked.push(name);
        return false;
      },
    },
    receiver: { mayDelete: () => true },
    attack: ({ from, to, bytes }, on) => {
      const channel = on.receivers[0]?.machine.find(on.sender.session)?.secureChannel;
      if (to === 'sender' && channel !== undefined && liesLeft > 0) {
        const part = liesLeft--;
        const names = ['../x', '/etc', 'a/../../b', '', '\u001b[2J', `a/${part}`, 'file-0'];
        const extras = names.map((name) => ({ name, isFolder: part % 2 === 0 }));
        const lie = encodeMessage({ kind: 'extras', part, extras });
        on.inject('sender', from, channel.seal(lie));
        on.inject('sender', receiverAddress(0), channel.seal(lie));
      }
      return [bytes];
    },
  }).run(60_000);
  t.ok(liesLeft < 3000, 'some lies arrived');
  t.notOk(asked.some((name) => name.includes('..') || name.startsWith('/') || name === ''));
  const { deletedNames = [], status } = wire.outcomeOf(0) ?? {};
  t.equal(status, 'complete');
  t.ok(deletedNames.length <= 1000);
  t.end();
});

t.test('a list that nobody asked for is a counted fault', (t) => {
  let isSent = false;
  const wire = new SessionWire({
    attack: ({ from, to, bytes }, on) => {
      const { receivers, sender } = on;
      const channel = receivers[0]?.machine.find(sender.session)?.secureChannel;
      if (
        to === 'sender' &&
        channel !== undefined &&
        !isSent &&
        sender.peers[0]?.status === 'active'
      ) {
        isSent = true;
        const extras = [{ name: 'a/b', isFolder: false }];
        on.inject('sender', from, channel.seal(encodeMessage({ kind: 'extras', part: 0, extras })));
      }
      return [bytes];
    },
  }).run();
  t.ok(isSent);
  t.equal(wire.outcomeOf(0)?.status, 'complete');
  t.equal(
    Object.values(wire.result?.faults ?? {}).reduce((sum, count) => sum + count, 0),
    1,
  );
  t.end();
});
