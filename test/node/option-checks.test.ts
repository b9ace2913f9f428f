/** Wrong options of the library's functions, as callers without a type checker give them. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { at } from '../../src/base/assert.js';
import {
  announceReceiver,
  burstLoss,
  createLossModel,
  createNodeCrypto,
  createRandom,
  FileReceiver,
  findReceivers,
  generateKeyPair,
  Link,
  meanLoss,
  P2mpError,
  planSend,
  receive,
  send,
  sendFile,
  simulateSession,
  simulateTransfer,
} from '../../src/index.js';

const trustReceiver = () => true;
const receivers = [{ host: '127.0.0.1', port: 7735 }];

type Call = (options: never) => unknown;

/** Calls that are right, except that each test changes one option. */
const calls: Readonly<
  Record<string, readonly [call: Call, options: Readonly<Record<string, unknown>>]>
> = {
  send: [send, { paths: ['missing'], receivers, trustReceiver }],
  planSend: [planSend, { paths: ['missing'], receivers }],
  receive: [receive, { dir: 'created', port: 0, trustSender: () => true }],
  sendFile: [sendFile, { servers: receivers, path: 'missing', mssBytes: 1000 }],
  'FileReceiver.open': [(options) => FileReceiver.open(options), { port: 0, path: 'created' }],
  findReceivers: [findReceivers, {}],
  announceReceiver: [
    announceReceiver,
    { addresses: receivers, publicKey: new Uint8Array(32), name: 'lab1' },
  ],
  simulateTransfer: [
    simulateTransfer,
    { seed: '', receiverCount: 1, sizeBytes: 1, mssBytes: 1000 },
  ],
  simulateSession: [simulateSession, { seed: '', receiverCount: 1, contentSizeBytes: 1 }],
  createLossModel: [(spec) => createLossModel(spec, createRandom('')), { model: 'none' }],
  Link: [(options) => new Link('a', '', options), {}],
};

const wrong: readonly [name: string, change: Readonly<Record<string, unknown>>, message: RegExp][] =
  [
    [
      'send',
      { receivers: ['127.0.0.1'] },
      /^receivers\[0\]: must be an object such as \{ host: 'lab1', port: 7735 \}, not '127.0.0.1'$/,
    ],
    ['send', { receivers: '127.0.0.1' }, /^receivers: must be a list, not '127.0.0.1'$/],
    ['send', { receivers: undefined }, /^receivers: this option is required$/],
    [
      'send',
      { receivers: [{ host: 'a', prot: 1 }] },
      /^receivers\[0\]\.prot: there is no such option; did you mean port\?$/,
    ],
    ['send', { receivers: [{ host: 'a' }] }, /^receivers\[0\]\.port: this option is required$/],
    [
      'send',
      { receivers: [{ host: 'a', port: '1' }] },
      /^receivers\[0\]\.port: must be a number, not '1'$/,
    ],
    [
      'send',
      { keyPair: 'key' },
      /^keyPair: must be an object such as generateKeyPair returns, not 'key'$/,
    ],
    ['send', { keyPair: null }, /^keyPair: must be an object such as .*, not null$/],
    ['send', { keyPair: {} }, /^keyPair\.publicKey: this option is required$/],
    [
      'send',
      { keyPair: { publicKey: new Uint8Array(32), secretKey: new Uint8Array(31) } },
      /^keyPair\.secretKey: must be a Uint8Array of 32 bytes, not a Uint8Array of 31 bytes$/,
    ],
    ['send', { trustReceiver: undefined }, /^trustReceiver: this option is required$/],
    ['send', { trustReceiver: true }, /^trustReceiver: must be a function, not true$/],
    [
      'send',
      { onevent: trustReceiver },
      /^onevent: there is no such option; did you mean onEvent\?$/,
    ],
    [
      'send',
      { existing: 'kepe' },
      /^existing: must be one of .*, not 'kepe'; did you mean keep\?$/,
    ],
    ['send', { mssBytes: '1400' }, /^mssBytes: must be a number or 'auto', not '1400'$/],
    [
      'send',
      { exclusions: { exclude: '*.log' } },
      /^exclusions\.exclude: must be a list, not '\*\.log'$/,
    ],
    ['send', { signal: 1 }, /^signal: must be an AbortSignal, not 1$/],
    ['send', { input: 'text' }, /^input: must be a readable stream, not 'text'$/],
    ['planSend', { receivers: ['a'] }, /^receivers\[0\]: must be an object/],
    ['planSend', { pahts: 'a' }, /^pahts: there is no such option; did you mean paths\?$/],
    ['receive', { keyPair: undefined }, /^keyPair: this option is required$/],
    [
      'receive',
      { keyPair: new Uint8Array(32) },
      /^keyPair: must be an object such as .*, not a Uint8Array of 32 bytes$/,
    ],
    [
      'receive',
      { mayDelet: () => true },
      /^mayDelet: there is no such option; did you mean mayDelete\?$/,
    ],
    ['receive', { bind: '127.0.0.1' }, /^bind: must be a list, not '127.0.0.1'$/],
    [
      'receive',
      { classic: { path: 'created', port: 1 } },
      /^classic\.port: there is no such option/,
    ],
    [
      'receive',
      { maxEntries: Number.NaN },
      /^maxEntries: must be a number of at least 0, not NaN$/,
    ],
    ['sendFile', { servers: ['127.0.0.1'] }, /^servers\[0\]: must be an object/],
    ['receive', { port: 65_536 }, /^port: must be a whole number from 0 to 65535, not 65536$/],
    [
      'send',
      { multicastTtl: 256 },
      /^multicastTtl: must be a whole number from 1 to 255, not 256$/,
    ],
    ['sendFile', { mss: 1 }, /^mss: there is no such option; did you mean mssBytes\?$/],
    ['sendFile', { timeout: 50 }, /^timeout: must be an object, not 50$/],
    [
      'sendFile',
      { timeout: { mode: 'fix' } },
      /^timeout\.mode: must be one of 'fixed', 'auto', not 'fix'; did you mean fixed\?$/,
    ],
    ['FileReceiver.open', { loss: { model: 'none' } }, /^loss: must be a function, not an object$/],
    ['FileReceiver.open', { idleMs: 1 }, /^idleMs: there is no such option/],
    ['findReceivers', { wait: 1 }, /^wait: there is no such option; did you mean waitMs\?$/],
    ['findReceivers', { waitMs: '1' }, /^waitMs: must be a number of at least 0, not '1'$/],
    [
      'announceReceiver',
      { publicKey: 'key' },
      /^publicKey: must be a Uint8Array of 32 bytes, not 'key'$/,
    ],
    ['announceReceiver', { addresses: ['::'] }, /^addresses\[0\]: must be an object/],
    ['simulateTransfer', { receivers: 1 }, /^receivers: there is no such option/],
    [
      'simulateTransfer',
      { loss: { model: 'bernouli', probability: 0 } },
      /^loss\.model: must be one of .*; did you mean bernoulli\?$/,
    ],
    [
      'simulateTransfer',
      { loss: { model: 'bernoulli', p: 0.1 } },
      /^loss\.p: there is no such option/,
    ],
    [
      'simulateTransfer',
      { forwardLink: { delay: 5 } },
      /^forwardLink\.delay: there is no such option; did you mean delayMs\?$/,
    ],
    [
      'simulateSession',
      { receivers: [{ backwardLink: { loss: 0.1 } }] },
      /^receivers\[0\]\.backwardLink\.loss: must be an object, not 0\.1$/,
    ],
    [
      'simulateSession',
      { incidents: [{ atMs: 1, host: 0, fault: 'stop' }] },
      /^incidents\[0\]\.fault: must be one of/,
    ],
    ['createLossModel', { model: 'burst' }, /^loss\.model: must be one of/],
    ['createLossModel', { model: 'scripted', lost: 1 }, /^loss\.lost: must be a list, not 1$/],
    ['Link', { rate: 1 }, /^rate: there is no such option; did you mean rateBytesPerSec\?$/],
  ];

t.test('wrong options are errors with a code, before anything is opened', async (t) => {
  const folder = t.testdir();
  const cwd = process.cwd();
  process.chdir(folder);
  t.teardown(() => process.chdir(cwd));
  const keyPair = await generateKeyPair();
  for (const [name, change, message] of wrong) {
    const [call, options] = at(Object.values(calls), Object.keys(calls).indexOf(name));
    const own = name === 'receive' ? { ...options, keyPair } : options;
    const run = async () => call({ ...own, ...change } as never);
    await t.rejects(run(), { code: 'INVALID_ARGUMENT', message }, `${name} ${message}`);
  }
  for (const [name, [call]] of Object.entries(calls)) {
    const run = async () => call(7 as never);
    await t.rejects(
      run(),
      { code: 'INVALID_ARGUMENT', message: /must be an object, not 7$/ },
      name,
    );
  }
  await t.rejects(createNodeCrypto({} as never), { code: 'INVALID_ARGUMENT' });
  t.throws(() => meanLoss({ model: 'bernouli' } as never), P2mpError);
  t.equal(meanLoss(burstLoss(0.5, 2)), 0.5);
  t.strictSame(readdirSync(folder), []);
  t.notOk(existsSync(join(folder, 'created')));
});

t.test('an option that is undefined counts as not given', async (t) => {
  const path = join(t.testdir({ a: 'abc' }), 'a');
  const options = { paths: path, receivers, keyPair: undefined, onEvent: undefined };
  t.match(await planSend(options as never), { contentSizeBytes: 3 });
});
