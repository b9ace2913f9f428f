/** Deliberately broken sessions: the checkers of the session sweep must detect each of them. */
import t from 'tap';
import type { TimeMs, Transmit } from '../../src/base/machine.js';
import { Verification } from '../../src/object/verification.js';
import { GroupReach } from '../../src/path/group-reach.js';
import { BlockSeal } from '../../src/security/block-seal.js';
import { BlockReception } from '../../src/session/incoming/block-reception.js';
import { IncomingSession } from '../../src/session/incoming/incoming-session.js';
import { IncomingWithdrawal } from '../../src/session/incoming/incoming-withdrawal.js';
import { Receiving } from '../../src/session/incoming/stages/receiving.js';
import { Outcome } from '../../src/session/incoming/stages/stage.js';
import { Connections } from '../../src/session/outgoing/connections.js';
import type { SessionMember } from '../../src/session/outgoing/member.js';
import { PathKeeper } from '../../src/session/outgoing/path-keeper.js';
import { ReceiverMessages } from '../../src/session/outgoing/receiver-messages.js';
import { ReceiverOutcomes } from '../../src/session/outgoing/receiver-outcomes.js';
import { Withdrawals } from '../../src/session/outgoing/withdrawals.js';
import { Simulation } from '../../src/simulator/simulation.js';
import { Delivery } from '../../src/transfer/delivery.js';
import type { Demand } from '../../src/transfer/demand.js';
import { FeedbackScheduler } from '../../src/transfer/feedback-scheduler.js';
import type { GapList } from '../../src/transfer/gap-list.js';
import { PathGroups } from '../../src/transfer/groups/path-groups.js';
import { MemoryBudget } from '../../src/transfer/partial-block.js';
import { Reassembler } from '../../src/transfer/reassembler.js';
import type { Withdrawn } from '../../src/wire/withdrawn.js';
import { replace } from '../support/planted-fault.js';
import { delegate } from '../support/scenario-run.js';
import { drawSessionScenario } from '../support/session-scenario.js';
import { complaintsAboutSession } from '../support/session-scenario-check.js';
import { runSessionScenario, type SessionSabotage } from '../support/session-scenario-run.js';

/** Each fault must show within this many scenarios; the sweep has more. */
const mostScenarios = 300;

interface Canary extends SessionSabotage {
  readonly expected: RegExp;
  /** Replaces correct code by the fault. @returns a function that restores it */
  readonly plant?: () => () => void;
}

t.test('correct sessions cause no complaints', (t) => {
  const wrapped: SessionSabotage = {
    wrapSender: (sender) => delegate(sender),
    wrapReceiver: (receiver) => delegate(receiver),
  };
  for (let number = 1; number <= 60; number++) {
    t.same(
      complaintsOf(number, wrapped),
      [],
      `scenario ${number}, with wrappers that change nothing`,
    );
  }
  t.end();
});

notices('reports that cover a burst before its end', {
  expected: /datagrams twice on a network that loses nothing/,
  plant: () => {
    const { handleBlock } = FeedbackScheduler.prototype;
    return replace(
      FeedbackScheduler.prototype,
      'handleBlock',
      function (this: FeedbackScheduler, nowMs: TimeMs, burst: number, flags: number) {
        handleBlock.call(this, nowMs, burst, flags);
        this.cumulativeBurst = burst;
        this.dueAtMs = nowMs;
      },
    );
  },
});

notices('reports that omit a missing block', {
  expected: /alive, reported as failed/,
  plant: () => {
    const { list } = Reassembler.prototype;
    return replace(
      Reassembler.prototype,
      'list',
      function (this: Reassembler, ...args: Parameters<Reassembler['list']>): GapList {
        const made = list.apply(this, args);
        return { ...made, gaps: made.gaps.slice(1) };
      },
    );
  },
});

notices('a receiver that accepts any digest as its own', {
  expected: /called complete what is not identical/,
  plant: () => replace(Verification.prototype, 'check', () => ({ kind: 'same' })),
});

notices('a receiver that does not request a bad block again', {
  expected: /alive, reported as failed \(the digests still differ/,
  plant: () =>
    replace(Receiving.prototype, 'replace', function (this: Receiving, nowMs: TimeMs) {
      this.object.blocks.feedback.want(nowMs);
      return this.checkWhole();
    }),
});

notices('a receiver that is complete before the object is stored', {
  expected: /called complete what is not identical/,
  wrapReceiver: (receiver) =>
    delegate(receiver, {
      pollEvent: () => {
        const event = receiver.pollEvent();
        if (event?.type === 'finish') receiver.find(event.session)?.handleStored(0);
        return event;
      },
    }),
});

notices('a receiver that reports complete when all data has arrived', {
  expected: /called complete, but data is missing|called complete what is not identical/,
  plant: () =>
    replace(Receiving.prototype, 'checkWhole', function (this: Receiving) {
      return this.object.blocks.isWhole ? new Outcome('complete', '') : this;
    }),
});

notices('a receiver that writes a block at a wrong offset', {
  expected: /called complete what is not identical/,
  wrapReceiver: (receiver) => {
    let lastOffsetBytes = 0;
    return delegate(receiver, {
      pollEvent: () => {
        const event = receiver.pollEvent();
        if (event?.type !== 'write') return event;
        const offsetBytes = lastOffsetBytes;
        lastOffsetBytes = event.offsetBytes;
        return { ...event, offsetBytes };
      },
    });
  },
});

notices('a receiver that reports without rate limit', {
  expected: /reports in a second/,
  plant: () => replace(FeedbackScheduler.prototype, 'nextTurnMs', (fromMs: TimeMs) => fromMs),
});

notices('a receiver that ignores its memory limit', {
  expected: /bytes buffered, not/,
  plant: () => {
    const restoreBudget = replace(MemoryBudget.prototype, 'isExhausted', () => false);
    const restoreWindow = replace(BlockReception.prototype, 'windowBlocks', () => 1000);
    return () => {
      restoreBudget();
      restoreWindow();
    };
  },
});

notices('a receiver that never releases its sessions', {
  expected: /not at rest/,
  wrapReceiver: (receiver) => {
    let nowMs = 0;
    return delegate(receiver, {
      handleTimeout: (atMs) => {
        nowMs = atMs;
        receiver.handleTimeout(atMs);
      },
      pollTimeout: () => receiver.pollTimeout() ?? nowMs + 1000,
    });
  },
});

notices('a receiver that does not answer polls', {
  expected: /alive, reported as failed|not by \d+/,
  plant: () => {
    const { handleMessage } = IncomingSession.prototype;
    return replace(
      IncomingSession.prototype,
      'handleMessage',
      function (this: IncomingSession, ...args: Parameters<IncomingSession['handleMessage']>) {
        return args[2].kind === 'poll' || handleMessage.apply(this, args);
      },
    );
  },
});

notices('delivery that ignores silent receivers', {
  // Such a receiver is never served again, and says so in each report.
  expected: /not at rest/,
  plant: () => {
    const silent = new WeakSet<Demand>();
    const { suspend, handleReport } = Delivery.prototype;
    const restores = [
      replace(Delivery.prototype, 'suspend', function (this: Delivery, demand: Demand) {
        silent.add(demand);
        suspend.call(this, demand);
      }),
      replace(
        Delivery.prototype,
        'handleReport',
        function (this: Delivery, ...args: Parameters<Delivery['handleReport']>) {
          if (!silent.has(args[1])) handleReport.apply(this, args);
        },
      ),
    ];
    return () => {
      for (const restore of restores) restore();
    };
  },
});

notices('a sender that never polls', {
  expected: /alive, reported as failed/,
  plant: () => replace(Connections.prototype, 'poll', () => true),
});

notices('a sender that reports a receiver complete after its first report', {
  expected: /called complete, but data is missing/,
  plant: () =>
    replace(
      ReceiverMessages.prototype,
      'handleReport',
      function (this: ReceiverMessages, nowMs: TimeMs, member: SessionMember) {
        this['options'].outcomes.settle(nowMs, member, 'complete');
      },
    ),
});

notices('a sender that assumes that multicast reaches everybody', {
  expected: /alive, reported as failed|not by \d+/,
  plant: () => {
    const { takeReport } = GroupReach.prototype;
    return replace(
      GroupReach.prototype,
      'takeReport',
      function (this: GroupReach, ...args: Parameters<GroupReach['takeReport']>) {
        const before = this.isReachable;
        takeReport.apply(this, args);
        this['reachable'] = args[2];
        return this.isReachable !== before;
      },
    );
  },
});

notices('a sender that continues after its end', {
  expected: /^1 datagrams after the end/,
  wrapSender: (sender) => {
    let endedAtMs = Infinity;
    const farewell: Transmit[] = [{ to: Simulation.address('r1'), bytes: new Uint8Array(16) }];
    return delegate(sender, {
      pollTransmit: (nowMs) => {
        if (sender.isDone) endedAtMs = Math.min(endedAtMs, nowMs);
        return sender.pollTransmit(nowMs) ?? (nowMs > endedAtMs ? farewell.shift() : undefined);
      },
      pollTimeout: () =>
        sender.isDone && farewell.length > 0 ? endedAtMs + 1 : sender.pollTimeout(),
    });
  },
});

notices('a sender that fails a receiver without a reason', {
  expected: /failed without a reason/,
  plant: () => {
    const { settle } = ReceiverOutcomes.prototype;
    return replace(
      ReceiverOutcomes.prototype,
      'settle',
      function (this: ReceiverOutcomes, ...args: Parameters<ReceiverOutcomes['settle']>) {
        const [nowMs, member, status] = args;
        settle.call(this, nowMs, member, status);
      },
    );
  },
});

notices('a sender that fails a receiver too late', {
  expected: /is away, failed at \d+ ms/,
  wrapSender: (sender) => {
    Object.assign(sender['connections']['options'], { livenessTimeoutMs: 60_000 });
    return sender;
  },
});

notices('a sender that keeps to paths that are silent', {
  expected: /alive, reported as failed|not by \d+/,
  plant: () => replace(PathGroups.prototype, 'setSilent', () => undefined),
});

notices('a sender that follows no receiver to another address', {
  expected: /alive, reported as failed/,
  plant: () => replace(PathKeeper.prototype, 'handleSource', () => undefined),
});

notices('a receiver that ignores what is withdrawn', {
  expected: /alive, reported as failed/,
  plant: () => replace(IncomingWithdrawal.prototype, 'take', () => false),
});

notices('a sender that says only once what it has withdrawn', {
  expected: /alive, reported as failed/,
  plant: () =>
    replace(Withdrawals.prototype, 'messages', function (this: Withdrawals) {
      const { list } = this as unknown as { list: readonly Withdrawn[] };
      Object.assign(this, { list: [] });
      return list;
    }),
});

notices('a seal with one nonce for all blocks', {
  expected: /nonces used twice/,
  plant: () => {
    const nonce = new Uint8Array(12);
    return replace(BlockSeal.prototype, 'nonceOf', () => nonce);
  },
});

notices('a changed source, read again with the same generation', {
  expected: /nonces used twice/,
  plant: () => {
    const { provideBlock } = Delivery.prototype;
    const restoreProvide = replace(
      Delivery.prototype,
      'provideBlock',
      function (this: Delivery, index: number, bytes: Uint8Array) {
        const { manifestBlockCount } = this['options'].geometry;
        const place = index - manifestBlockCount;
        const isRead = place >= 0 && this.tree.has(place);
        if (isRead) this.tree.forget(place);
        const given = isRead ? bytes.map((byte) => byte ^ 1) : bytes;
        provideBlock.call(this, index, given);
      },
    );
    return restoreProvide;
  },
});

function notices(what: string, { expected, plant, ...sabotage }: Canary): void {
  t.test(`the checkers notice ${what}`, (t) => {
    const restore = plant?.();
    const seen = new Set<string>();
    try {
      let isNoticed = false;
      for (let number = 1; number <= mostScenarios && !isNoticed; number++) {
        const complaints = complaintsOf(number, sabotage);
        for (const complaint of complaints) seen.add(complaint);
        isNoticed = complaints.some((complaint) => expected.test(complaint));
      }
      t.ok(isNoticed, [...seen].join('; ') || `no complaints in ${mostScenarios} scenarios`);
    } finally {
      restore?.();
    }
    t.end();
  });
}

function complaintsOf(number: number, sabotage: SessionSabotage): string[] {
  const scenario = drawSessionScenario(number);
  return complaintsAboutSession(scenario, runSessionScenario(scenario, sabotage));
}
