/**
 * Malicious trusted senders against a receiver with real sockets and a real disk: whatever they
 * send, and whenever they leave, the receiver keeps serving others and writes nothing outside its
 * folder.
 */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Transmit } from '../../src/base/machine.js';
import { createRandom } from '../../src/base/random.js';
import { generateKeyPair } from '../../src/index.js';
import { createNodeCrypto } from '../../src/node/keys/node-crypto.js';
import { SocketRunner } from '../../src/node/net/socket-runner.js';
import type { Entry } from '../../src/object/manifest.js';
import { createManifest, encodeManifest } from '../../src/object/manifest.js';
import { SessionSender } from '../../src/session/sender.js';
import type { SessionSenderEvent } from '../../src/session/sender-events.js';
import { createContent } from '../../src/simulator/transfer.js';
import { encodeMessage } from '../../src/wire/messages.js';
import { isSameContent, writeRandomFile } from '../support/loopback.js';
import { delegate } from '../support/scenario-run.js';
import { SessionHost, sendTo } from '../support/session-host.js';

const crypto = await createNodeCrypto(await generateKeyPair());

interface BadSession {
  readonly entries: readonly Entry[];
  readonly content: Uint8Array;
  /** Extra messages, by the number of datagrams sent before them. */
  readonly words?: ReadonlyMap<number, Uint8Array>;
}

/** Runs a session of a malicious sender. @returns its outcome */
async function sendBadly(host: SessionHost, { entries, content, words }: BadSession) {
  const address = { host: '127.0.0.1', port: host.spec().port };
  const sender = new SessionSender({
    label: 'bad',
    receivers: [{ name: 'r', address }],
    manifest: encodeManifest(createManifest(entries)),
    contentSizeBytes: content.length,
    crypto,
    mssBytes: 1000,
    livenessTimeoutMs: 2000,
  });
  let sent = 0;
  const said: Transmit[] = [];
  const machine = delegate<SessionSenderEvent>(sender, {
    pollTransmit: (nowMs) => {
      const next = said.shift() ?? sender.pollTransmit(nowMs);
      const word = next === undefined ? undefined : words?.get(sent++);
      const channel = sender.peers[0]?.channel;
      if (word !== undefined && channel !== undefined) {
        said.push({ to: address, bytes: channel.seal(word) });
      }
      return next;
    },
  });
  let runner: SocketRunner<SessionSenderEvent> | undefined;
  const outcome = await new Promise<string>((resolve) => {
    const handleEvent = (event: SessionSenderEvent) => {
      const nowMs = runner?.nowMs ?? 0;
      if (event.type === 'need') {
        const { block, offsetBytes, sizeBytes } = event;
        const bytes = content.subarray(offsetBytes, offsetBytes + sizeBytes);
        sender.provideBlock(nowMs, block, bytes);
      } else if (event.type === 'identify') sender.trust(nowMs, event.index);
      else if (event.type === 'check-source') sender.confirmSource(nowMs);
      else if (event.type === 'receiver') {
        resolve(`${event.outcome.status} ${event.outcome.reason ?? ''}`);
      }
    };
    const handshake = SocketRunner.open({
      machine,
      bind: ['127.0.0.1'],
      port: 0,
      handleEvent,
      handleSendError: () => undefined,
    });
    void handshake.then((opened) => {
      runner = opened;
      opened.drain();
    });
  });
  await runner?.close();
  return outcome;
}

const file = (name: string, sizeBytes: number): Entry => ({
  kind: 'file',
  name,
  mode: 0o644,
  modifiedMs: 1000,
  sizeBytes,
});

t.test('a sender that leaves, or sends unexpected messages, at any moment', async (t) => {
  const dir = join(t.testdir({ sent: {} }), 'in');
  const host = await SessionHost.open(t, dir, { maxSessions: 3 });
  const outcomes = new Set<string>();
  for (let seed = 1; seed <= 40; seed++) {
    const random = createRandom('leaving', seed);
    const sizeBytes = 20_000;
    const words = new Map<number, Uint8Array>();
    for (let i = 0; i < 3; i++) {
      const kinds = [
        { kind: 'bye', reason: 'no reason', isFinal: false },
        { kind: 'root', digest: new Uint8Array(32) },
        {
          kind: 'poll',
          burst: Math.floor(random() * 65_536),
          hasTags: true,
          leavesGroup: true,
          reportGapMs: 0,
        },
      ] as const;
      const message = kinds[Math.floor(random() * kinds.length)] ?? kinds[0];
      words.set(Math.floor(random() * 25), encodeMessage(message));
    }
    const half = sizeBytes / 2;
    const outcome = await sendBadly(host, {
      entries: [file(`a${seed}`, half), file(`b${seed}`, half)],
      content: createContent(`leaving ${seed}`, sizeBytes),
      words,
    });
    outcomes.add(outcome.split(' ', 1)[0] ?? '');
  }
  t.ok(outcomes.size > 1, [...outcomes].join(', '));
  const sent = writeRandomFile(join(dir, '..', 'sent'), 100_000);
  const result = await sendTo([host], [sent]);
  t.equal(result.receivers[0]?.status, 'complete', 'an honest sender completes');
  t.ok(isSameContent(sent, join(dir, 'sent')));
});

t.test('extreme names, times and modes', async (t) => {
  const root = t.testdir();
  const dir = join(root, 'in');
  const host = await SessionHost.open(t, dir);
  const attempts: [what: string, entries: Entry[], outcome: RegExp][] = [
    ['outside', [file('../f', 10)], /^refused dot-name/],
    ['from the root', [file('/tmp/f', 10)], /^refused absolute-name/],
    ['among the parts', [file('.p2mp-part', 10)], /^refused .*reserved for unfinished transfers/],
    [
      'through a link',
      [{ kind: 'link', name: 'l', target: '..' }, file('l/f', 10)],
      /^refused link-leaves/,
    ],
    ['a link to itself', [file('f', 10), { kind: 'link', name: 'l', target: 'l' }], /^complete/],
    [
      'long ago',
      [{ ...file('ago', 10), modifiedMs: -8.64e15 } as Entry],
      /^(complete|failed|refused)/,
    ],
    [
      'far ahead',
      [{ ...file('ahead', 10), modifiedMs: 8.64e15 } as Entry],
      /^(complete|failed|refused)/,
    ],
    ['before zero', [{ ...file('zero', 10), modifiedMs: -0 } as Entry], /^complete/],
    ['setuid', [{ ...file('su', 10), mode: 0o7777 } as Entry], /^complete/],
    ['no mode', [{ ...file('none', 10), mode: 0 } as Entry], /^complete/],
    ['control characters', [file('a\u001b[2J\n', 10)], /^complete/],
    ['the largest part of a name', [file('x'.repeat(255), 10)], /^complete/],
    [
      'the deepest',
      [
        ...Array.from(
          { length: 63 },
          (_, i): Entry => ({
            kind: 'folder',
            name: Array(i + 1)
              .fill('d')
              .join('/'),
            mode: 0o755,
            modifiedMs: 0,
          }),
        ),
        file(`${Array(63).fill('d').join('/')}/f`, 10),
      ],
      /^complete/,
    ],
  ];
  for (const [what, entries, expected] of attempts) {
    const outcome = await sendBadly(host, { entries, content: createContent(what, 10) });
    t.match(outcome, expected, what);
    t.same(readdirSync(root), ['in'], 'nothing outside the folder');
  }
  if (process.platform !== 'win32') {
    t.equal(statSync(join(dir, 'su')).mode & 0o7777, 0o777, 'permission bits only');
  }
  await host.receiving.close('over');
  t.notOk(readdirSync(dir).includes('.p2mp-part'), 'no part of a refused object remains');
});
