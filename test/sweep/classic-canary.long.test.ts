/** Deliberately broken engines: the checkers of the sweep must detect each of them. */
import t from 'tap';
import type { Machine, Transmit } from '../../src/base/machine.js';
import type { ReceiverEvent } from '../../src/classic/receiver-events.js';
import type { SenderEvent } from '../../src/classic/sender-events.js';
import { decode, encodeAck, encodeData } from '../../src/packet.js';
import type { Receiver } from '../../src/receiver.js';
import { Simulation } from '../../src/simulator/simulation.js';
import type { Scenario } from '../support/scenario.js';
import { complaintsAbout } from '../support/scenario-check.js';
import { delegate, runScenario, type Sabotage } from '../support/scenario-run.js';

const names = ['r1', 'r2', 'r3'];

const scenario: Scenario = {
  seed: 'canary',
  sizeBytes: 2050,
  mssBytes: 100,
  segmentsPerBlock: 1,
  windowBlocks: 2,
  timeout: { mode: 'fixed', timeoutMs: 50 },
  livenessTimeoutMs: 5000,
  hasEndMarker: true,
  sendTimeMs: 0,
  sourceTimeMs: 0,
  maxUnwrittenBytes: 1000,
  receivers: names.map((name) => ({
    name,
    loss: { model: 'bernoulli', probability: 0.2 },
    forwardLink: { delayMs: 5 },
    backwardLink: { delayMs: 5 },
    writeTimeMs: 1,
    storeTimeMs: 10,
    diesAtMs: name === 'r3' ? 300 : undefined,
  })),
  deadlineMs: 120_000,
};

t.test('a correct engine causes no complaints', (t) => {
  t.same(complaintsOf({}), []);
  const isBlank = complaintsOf({ wrapSender: (sender) => delegate(sender) });
  t.same(isBlank, [], 'a wrapper that changes nothing causes none');
  t.end();
});

notices('a receiver that acknowledges segments it did not accept', {
  expected: /alive, reported as failed .*stuck|called complete, but data is missing/,
  wrapReceiver: (receiver) => acknowledgingEverything(receiver),
});

notices('a receiver that writes a segment twice', {
  expected: /gap at \d+/,
  wrapReceiver: (receiver) => {
    let last: ReceiverEvent | undefined;
    return delegate(receiver, {
      pollEvent: () => {
        const isToRepeat = last?.type === 'write' && last.offsetBytes === 700;
        const event = isToRepeat ? last : receiver.pollEvent();
        last = isToRepeat ? undefined : event;
        return event;
      },
    });
  },
});

notices('a receiver that writes corrupted data', {
  expected: /bytes at \d+/,
  wrapReceiver: (receiver) =>
    delegate(receiver, {
      pollEvent: () => {
        const event = receiver.pollEvent();
        if (event?.type !== 'write' || event.offsetBytes !== 700) return event;
        return { ...event, bytes: event.bytes.map((byte) => byte ^ 1) };
      },
    }),
});

notices('a receiver that acknowledges the end before the file is stored', {
  expected: /called confirmed, is not stored/,
  wrapReceiver: (receiver) =>
    delegate(receiver, {
      pollEvent: () => {
        const event = receiver.pollEvent();
        if (event?.type !== 'finish') return event;
        receiver.handleStored(0);
        return receiver.pollEvent();
      },
    }),
});

notices('a receiver that buffers too much unwritten data', {
  expected: /\d{4} bytes unwritten/,
  receiverOptions: { maxUnwrittenBytes: 1_000_000 },
  scenario: {
    ...scenario,
    receivers: scenario.receivers.map((receiver) => ({ ...receiver, writeTimeMs: 500 })),
  },
});

notices("a sender that continues after the first receiver's ACK", {
  expected: /alive, reported as failed|called complete, but data is missing/,
  wrapSender: (sender) =>
    delegate(sender, {
      handleDatagram: (nowMs, _from, bytes) => {
        for (const name of names) sender.handleDatagram(nowMs, Simulation.address(name), bytes);
      },
    }),
});

notices('a sender that calls a dead receiver complete', {
  expected: /r3: called complete, but data is missing/,
  wrapSender: (sender) =>
    delegate(sender, {
      pollEvent: () => {
        const event = sender.pollEvent();
        if (event?.type !== 'done') return event;
        const receivers = event.result.receivers.map((outcome) => ({
          ...outcome,
          status: 'complete' as const,
        }));
        return { ...event, result: { ...event.result, receivers } };
      },
    }),
});

notices('a sender that never handles a timeout', {
  expected: /sender done 0 times/,
  wrapSender: (sender) => delegate(sender, { pollTimeout: () => undefined }),
});

notices('a sender that never becomes idle', {
  expected: /not at rest/,
  wrapSender: (sender) => {
    let nowMs = 0;
    return delegate(sender, {
      handleTimeout: (atMs) => {
        nowMs = atMs;
        sender.handleTimeout(atMs);
      },
      pollTimeout: () => sender.pollTimeout() ?? nowMs + 1000,
    });
  },
});

notices('a sender that sends after its end', {
  expected: /^1 datagrams after the end/,
  wrapSender: (sender) => {
    const farewell: Transmit[] = [
      { to: Simulation.address('r1'), bytes: encodeData(0, new Uint8Array(0)) },
    ];
    return delegate(sender, {
      pollTransmit: (nowMs) =>
        sender.pollTransmit(nowMs) ??
        (sender.isDone && sender['events'].length === 0 ? farewell.shift() : undefined),
    });
  },
});

notices('a sender that exceeds its window', {
  expected: /4 blocks in a window of 2/,
  senderOptions: { windowBlocks: 4 },
});

notices('a sender whose events pile up', {
  expected: /\d+ events left in the sender/,
  wrapSender: (sender) => {
    let polled = 0;
    return delegate(sender, {
      pollEvent: () => (sender.isDone && polled > 10 ? undefined : poll()),
    });
    function poll(): SenderEvent | undefined {
      polled++;
      return sender.pollEvent();
    }
  },
});

interface Canary extends Sabotage {
  readonly expected: RegExp;
  readonly scenario?: Scenario;
}

function notices(what: string, { expected, ...canary }: Canary): void {
  t.test(`the checkers notice ${what}`, (t) => {
    const complaints = complaintsOf(canary);
    t.ok(
      complaints.some((complaint) => expected.test(complaint)),
      complaints.join('; ') || 'no complaints',
    );
    t.end();
  });
}

function complaintsOf(canary: Sabotage & { readonly scenario?: Scenario }): string[] {
  const run = runScenario(canary.scenario ?? scenario, canary);
  return complaintsAbout(canary.scenario ?? scenario, run);
}

/** Acknowledges what the loss service dropped as if it had been accepted. */
function acknowledgingEverything(receiver: Receiver): Machine<ReceiverEvent> {
  const answers: Transmit[] = [];
  return delegate(receiver, {
    handleDatagram: (nowMs, from, bytes) => {
      const packet = decode(bytes);
      if (typeof packet !== 'string') answers.push({ to: from, bytes: encodeAck(packet.sequence) });
      receiver.handleDatagram(nowMs, from, bytes);
    },
    pollTransmit: () => answers.shift() ?? receiver.pollTransmit(),
  });
}
