/** Tests of mutants: of the core alone, and done within about three seconds each. */
export const pureTests = [
  // First what is nearest to the code and fastest, since the first that notices ends a mutant.
  'packet',
  'segment',
  'sender',
  'sender-acks',
  'sender-end',
  'sender-give-up',
  'sender-timeout',
  'sender-window',
  'receiver',
  'receiver-end',
  'receiver-senders',
  'ended-transfers',
  'rounds',
  'block-window',
  'machine',
  'simulation',
  'session-packet',
  'session-geometry',
  'session-opening',
  'session-report',
  'session-put-off',
  'secure-channel',
  'dialect-switch',
  'report-intake',
  'left-behind',

  'attack-insider',
  'trusted-peers',
  'nonces',
  'fuzz-findings',
  'sweep',
  'session-sweep',
];
export const builtFolder = '.mutation/tests';
export const builtTests = pureTests.map((name) => `${builtFolder}/${name}.test.mjs`);
