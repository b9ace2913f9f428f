/** Broken engines, on purpose: the checkers of the sweep must notice each of them. */
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
  giveUpAfterMs: 5000,
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

t.test('an engine that is as it should be gives no cause for complaint', (t) => {
  t.same(complaintsOf({}), []);
  const isBlank = complaintsOf({ wrapSender: (sender) => delegate(sender) });
  t.same(isBlank, [], 'nor does a wrapper that changes nothing');
  t.end();
});

notices('a receiver that acknowledges what it did not take', {
  expected: /lives, called failed .*stuck|called complete, has not all/,
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

notices('a receiver that writes what it should have checked', {
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

notices('a receiver that keeps too much unwritten', {
  expected: /\d{4} bytes unwritten/,
  receiverOptions: { maxUnwrittenBytes: 1_000_000 },
  scenario: {
    ...scenario,
    receivers: scenario.receivers.map((receiver) => ({ ...receiver, writeTimeMs: 500 })),
  },
});

notices('a sender that goes on when the first receiver has acknowledged', {
  expected: /lives, called failed|called complete, has not all/,
  wrapSender: (sender) =>
    delegate(sender, {
      handleDatagram: (nowMs, _from, bytes) => {
        for (const name of names) sender.handleDatagram(nowMs, Simulation.address(name), bytes);
      },
    }),
});

notices('a sender that calls a dead receiver complete', {
  expected: /r3: called complete, has not all/,
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

notices('a sender that never notices a deadline', {
  expected: /sender done 0 times/,
  wrapSender: (sender) => delegate(sender, { pollTimeout: () => undefined }),
});

notices('a sender that cannot come to rest', {
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

notices('a sender that talks after its end', {
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

notices('a sender that has more in flight than it may', {
  expected: /4 blocks in a window of 2/,
  senderOptions: { windowBlocks: 4 },
});

notices('a sender whose events pile up', {
  expected: /\d+ events left in the sender/,
  wrapSender: (sender) => {
    let told = 0;
    return delegate(sender, {
      pollEvent: () => (sender.isDone && told > 10 ? undefined : tell()),
    });
    function tell(): SenderEvent | undefined {
      told++;
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

/** Answers for what the loss service threw away as if it had been taken. */
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
