// npm run mutation: changes the code of packets, senders and receivers in small steps, and checks
// that a test fails. Only tests without processes, sockets and files take part, so that a mutant
// costs seconds; sweeps run a few scenarios (the variables in package.json).
import { builtTests } from './pure-tests.mjs';

export default {
  plugins: ['@stryker-mutator/tap-runner'],
  testRunner: 'tap',
  tap: { testFiles: builtTests },
  buildCommand: 'node test/mutation/build-tests.mjs',
  mutate: [
    'src/packet.ts',
    'src/sender.ts',
    'src/receiver.ts',
    'src/wire/header.ts',
    'src/session/sender.ts',
    'src/session/outgoing/receiver-messages.ts',
    'src/session/receiver.ts',
    'src/session/incoming/incoming-session.ts',
    'src/session/incoming/stages/*.ts',
    'src/session/incoming/block-reception.ts',
  ],
  // Messages are for people: tests check what they name, not their wording.
  mutator: { excludedMutations: ['StringLiteral'] },
  disableTypeChecks: false,
  coverageAnalysis: 'perTest',
  ignorePatterns: ['dist', '.tap', 'test.bundled', 'experiments', 'bench', 'docs', 'deploy'],
  tempDirName: '.mutation/work',
  incrementalFile: '.mutation/incremental.json',
  reporters: ['clear-text', 'json', 'progress-append-only'],
  clearTextReporter: { logTests: false, allowColor: false, reportTests: false },
  jsonReporter: { fileName: '.mutation/report.json' },
  timeoutMS: 4000,
  logLevel: 'error',
};
