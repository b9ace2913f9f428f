/** The states of a rate group's congestion controller, and what each allows. */
import t from 'tap';
import { BbrController } from '../../../src/path/congestion/bbr-controller.js';
import type { ControlledPath } from '../../../src/path/congestion/congestion-control.js';
import type { PathSample, SendingState } from '../../../src/path/path-model.js';
import { PathModel } from '../../../src/path/path-model.js';

const blockDatagrams = 45;
const options = {
  blockDatagrams,
  datagramSizeBytes: 1416,
  reportIntervalMs: 2,
  randomPhase: 0.5,
  rateBytesPerSec: undefined,
};

/** A path whose model the test sets. */
class Member {
  inFlight = 0;
  readonly returnPath = { gapMs: 0 };
  readonly model = {
    deliveryRate: 0,
    latestRate: 0,
    baselineLoss: 0,
    lossRatio: 0,
    minRttMs: 40,
    rttMs: 40,
    rounds: 10,
    echoedSentAtMs: -Infinity,
    congestedAtMs: -Infinity,
    congestedFromMs: -Infinity,
    baselineAtMs: 0,
    minRttSeenAtMs: 0,
    isShort: false,
    cycles: 0,
    sending: undefined as SendingState | undefined,
    get capacity(): number {
      return this.deliveryRate / (1 - this.baselineLoss);
    },
    take(_sample: PathSample, sending: SendingState): void {
      this.sending = sending;
    },
    handleFull(): void {},
    endCycle(): void {
      this.cycles++;
    },
  };

  get path(): ControlledPath {
    return this as unknown as ControlledPath;
  }

  setRate(rate: number): void {
    this.model.deliveryRate = rate;
    this.model.latestRate = rate;
  }
}

/** Runs rounds of one round trip each. */
class Course {
  readonly controller: BbrController;
  nowMs = 0;
  hasShortRtt = true;

  constructor(
    private readonly members: readonly Member[],
    public senderCount = 1,
  ) {
    const senders = () => this.senderCount;
    this.controller = new BbrController({
      ...options,
      get senderCount() {
        return senders();
      },
    });
  }

  round(count = 1): void {
    for (let i = 0; i < count; i++) {
      this.nowMs += 40;
      for (const { model } of this.members) {
        model.echoedSentAtMs = this.nowMs;
        if (this.hasShortRtt) model.minRttSeenAtMs = this.nowMs;
      }
      const paths = this.members.map(({ path }) => path);
      const sample = { nowMs: this.nowMs } as PathSample;
      for (const path of paths) this.controller.handleFeedback(path, sample, paths);
    }
  }

  /** Runs until the state is reached. @returns the number of rounds */
  until(state: BbrController['state']): number {
    for (let rounds = 0; rounds < 1000; rounds++) {
      if (this.controller.state === state) return rounds;
      this.round();
    }
    throw new Error(`never ${state}`);
  }
}

function cruising(rate: number, senderCount = 1) {
  const member = new Member();
  const course = new Course([member], senderCount);
  member.setRate(rate);
  course.until('cruise');
  return { member, course, controller: course.controller };
}

t.test('before the first report', (t) => {
  const controller = new BbrController(options);
  const path = { model: new PathModel(), returnPath: { gapMs: 0 }, inFlight: 0 };
  t.equal(controller.sendRate(1), 6, 'the handshake measured nothing');
  for (const [rttMs, rate, what] of [
    [100, 6, 'not slower on a long path'],
    [4, 45, 'four blocks per round trip'],
    [0.001, 900, 'bounded'],
  ] as const) {
    path.model.takeHandshakeRtt(0, rttMs);
    controller.handleMembers([path]);
    t.equal(controller.sendRate(1), rate, what);
  }
  t.equal(controller.findRoom(0, path), 4 * blockDatagrams, 'four blocks in flight');
  t.end();
});

t.test('startup continues while the rate grows, and ends soon after', (t) => {
  const member = new Member();
  const course = new Course([member]);
  let rate = 1;
  for (let i = 0; i < 8; i++, rate *= 2) {
    member.setRate(rate);
    course.round();
    t.equal(course.controller.state, 'startup');
    t.ok(Math.abs(course.controller.sendRate(1) - 2.77 * rate) < 1e-9);
  }
  member.inFlight = 1e6;
  t.equal(course.until('drain'), 3, 'three rounds of no growth');
  t.ok(course.controller.sendRate(1) < member.model.deliveryRate / 2, 'the queue is drained');
  t.equal(course.until('cruise'), 3, 'but not forever');
  t.end();
});

t.test('when one of several senders has ended, what it had of the path is looked for', (t) => {
  const { course, controller } = cruising(10, 3);
  course.senderCount = 4;
  course.round();
  t.equal(controller.state, 'cruise', 'another one begins');
  course.senderCount = 2;
  course.round();
  t.equal(controller.state, 'startup');
  t.ok(course.until('cruise') > 0, 'for a while');
  t.end();
});

t.test('a slow source does not end it', (t) => {
  const member = new Member();
  const course = new Course([member]);
  member.setRate(5);
  for (let i = 0; i < 20; i++) {
    course.controller.handleIdle(course.nowMs + 40);
    course.round();
  }
  t.equal(course.controller.state, 'startup');
  t.end();
});

t.test('cruise, up, down: the cycle ends with up', (t) => {
  const { member, course, controller } = cruising(10);
  t.equal(controller.sendRate(1), 10);
  course.until('up');
  t.equal(controller.sendRate(1), 12.5);
  course.until('down');
  t.equal(member.model.cycles, 1);
  t.equal(controller.sendRate(1), 7.5);
  course.until('cruise');
  t.end();
});

t.test('it yields to other traffic, and tries again some seconds later', (t) => {
  const { member, course, controller } = cruising(10);
  course.round();
  const { model } = member;
  model.congestedFromMs = course.nowMs;
  model.congestedAtMs = course.nowMs + 40;
  model.latestRate = 8;
  course.round();
  t.ok(Math.abs(controller.sendRate(1) - 0.65 * 8) < 1e-9, `${controller.sendRate(1)}`);
  const belowLimitSinceMs = model.sending?.belowLimitSinceMs ?? Infinity;
  t.ok(belowLimitSinceMs <= course.nowMs, 'below the limit from then on');
  const rounds = course.until('up');
  t.ok(rounds >= 70 && rounds <= 115, `${rounds} rounds`);
  t.equal(controller.sendRate(1), 12.5, 'all of it');
  t.end();
});

t.test('loss caused by probing is no reason to yield', (t) => {
  const { member, course, controller } = cruising(10);
  course.until('up');
  member.model.congestedFromMs = course.nowMs;
  member.model.congestedAtMs = course.nowMs + 40;
  course.until('cruise');
  t.equal(controller.sendRate(1), 10);
  t.ok(course.until('up') > 65, 'only to wait');
  t.end();
});

t.test('it never yields below its minimum share', (t) => {
  const { member, course, controller } = cruising(10);
  for (let i = 0; i < 20; i++) {
    member.model.congestedFromMs = course.nowMs;
    member.model.congestedAtMs = course.nowMs + 40;
    member.model.latestRate = 1;
    course.round();
  }
  t.ok(Math.abs(controller.sendRate(1) - 3) < 1e-9, `${controller.sendRate(1)}`);
  t.end();
});

t.test('the more it has yielded, the longer it waits', (t) => {
  const waitAfter = (latestRate: number): number => {
    const { member, course } = cruising(10);
    course.round();
    member.model.congestedFromMs = course.nowMs;
    member.model.congestedAtMs = course.nowMs + 40;
    member.model.latestRate = latestRate;
    course.round();
    return course.until('up');
  };
  t.ok(waitAfter(4) > 1.2 * waitAfter(10), `${waitAfter(4)} and ${waitAfter(10)} rounds`);
  t.end();
});

t.test('the slowest member sets the rate, once its path is measured', (t) => {
  const [fast, slow] = [new Member(), new Member()];
  const course = new Course([fast, slow]);
  fast.setRate(10);
  slow.setRate(4);
  course.until('cruise');
  t.equal(course.controller.sendRate(1), 4);
  slow.model.rounds = 1;
  course.round();
  t.equal(course.controller.sendRate(1), 10, 'a new member has measured nothing yet');
  t.end();
});

t.test('after a long time without a short round trip, it looks for one', (t) => {
  const { course, controller } = cruising(10);
  course.hasShortRtt = false;
  let wasProbing = 0;
  for (let i = 0; i < 1500; i++) {
    course.round();
    if (controller.state !== 'probe-rtt') continue;
    wasProbing++;
    t.equal(controller.sendRate(1), 5);
  }
  t.ok(wasProbing >= 15 && wasProbing <= 40, `${wasProbing} rounds of 1500`);
  t.end();
});

t.test('senders that share links probe together, and share what hosts need in flight', (t) => {
  const { member, course, controller } = cruising(10, 5);
  course.until('up');
  t.equal(controller.sendRate(1).toFixed(2), '10.50', 'a quarter more of all together');
  member.model.minRttMs = 0.3;
  member.model.isShort = true;
  member.setRate(20);
  t.equal(controller.findRoom(0, member.path), 6 + 100 + 80);
  member.setRate(0.01);
  t.equal(controller.findRoom(0, member.path), (12 / 5) * blockDatagrams, 'more on a short path');
  member.model.isShort = false;
  t.equal(controller.findRoom(0, member.path), (8 / 5) * blockDatagrams);
  t.end();
});

t.test('the limit of data in flight', (t) => {
  const { member, controller } = cruising(10);
  const { path } = member;
  t.equal(
    controller.findRoom(0, path),
    2 * 400 + 40,
    'two bandwidth-delay products, plus what the report interval delays',
  );
  member.model.minRttMs = 0.3;
  t.equal(controller.findRoom(0, path), 3 + 250 + 40, '25 ms on a short path');
  member.setRate(1000);
  t.equal(controller.findRoom(0, path), 300 + 32 * blockDatagrams + 4000, 'at most 32 blocks');
  member.setRate(0.01);
  t.equal(controller.findRoom(0, path), 4 * blockDatagrams, 'at least four');
  t.end();
});
