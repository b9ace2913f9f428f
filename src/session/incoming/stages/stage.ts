/**
 * The stages of an incoming session. Each stage is a class that holds all that the stage needs. It handles the
 * session's inputs and returns what comes next: itself, another stage, or the outcome of the session. What it has to
 * say goes to the session's output.
 */
import type { TimeMs } from '../../../base/machine.js';
import type { Range } from '../../../base/range-set.js';
import type { DeletionResult, HeldBlock } from '../../../object/content-store.js';
import type { Extra, Noted } from '../../../wire/lists.js';
import type { Poll, Root } from '../../../wire/messages.js';
import type { Offer } from '../../../wire/offer.js';
import type { Nodes } from '../../../wire/tree-nodes.js';
import type { Withdrawn } from '../../../wire/withdrawn.js';
import type { IncomingInfo, IncomingResult, NamedWithdrawal } from '../../receiver-events.js';
import type { ReceptionFigures } from '../incoming-status.js';

/** How a session ends. */
export class Outcome {
  constructor(
    readonly status: IncomingResult['status'],
    /** Why the object is not complete, or a note on a success; can be empty. */
    readonly reason: string,
    /** What was deleted or, if the sender only asked, what would be deleted. */
    readonly deletion?: DeletionResult,
    /** If the object was relayed and is complete: the receipt for its origin. */
    readonly receipt?: Uint8Array,
  ) {}
}

export type Next = Stage | Outcome;

/** What else the shell found when it looked at the disk. */
export interface PreparedDetails {
  /** Files whose size and time are unchanged. Their blocks are among those kept. */
  readonly unchangedFiles?: number;
  /** Entries that the sender does not send, in folders that it sends. Empty with the deletion `none`. */
  readonly extras?: Iterable<Extra>;
}

/** What the session has received so far. Each property is absent as long as it means nothing. */
export interface StageProgress {
  readonly figures?: ReceptionFigures;
  /** The verified content root, if no blocks are kept. */
  readonly contentRoot?: Uint8Array;
  readonly unchangedFiles?: number;
  /** The entries that the sender has withdrawn. */
  readonly withdrawn?: readonly NamedWithdrawal[];
}

/** Ignores each input. A stage overrides the handlers of the inputs that mean something to it. */
export abstract class Stage {
  /** The current activity, as text for users. */
  abstract readonly activity: string;

  /** What was offered; undefined before the offer. */
  abstract readonly info: IncomingInfo | undefined;

  get progress(): StageProgress {
    return {};
  }

  /** Whether the session has its outcome. */
  get isSettled(): boolean {
    return false;
  }

  /** Whether nothing more will happen. */
  get isOver(): boolean {
    return false;
  }

  // --- Messages

  handleOffer(_nowMs: TimeMs, _offer: Offer): Next {
    return this;
  }

  handlePoll(_nowMs: TimeMs, _poll: Poll): Next {
    return this;
  }

  handleRoot(_nowMs: TimeMs, _root: Root): Next {
    return this;
  }

  handleWithdrawn(_nowMs: TimeMs, _withdrawn: Withdrawn): Next {
    return this;
  }

  handleNodes(_nowMs: TimeMs, _nodes: Nodes): Next {
    return this;
  }

  handleNoted(_nowMs: TimeMs, _noted: Noted): Next {
    return this;
  }

  handleEnvelope(_envelope: Uint8Array): Next {
    return this;
  }

  // --- Input from the shell

  /** What the disk holds; the parameters are those of `IncomingSession.prepared`. */
  handlePrepared(
    _nowMs: TimeMs,
    _held: Iterable<HeldBlock>,
    _kept: readonly Range[],
    _details: PreparedDetails,
  ): Next {
    return this;
  }

  handleWritten(_nowMs: TimeMs, _sizeBytes: number): void {}

  handleDamaged(_nowMs: TimeMs, _blocks: readonly number[]): Next {
    return this;
  }

  handleStored(_note: string, _deletion: DeletionResult | undefined): Next {
    return this;
  }

  // --- Long work

  /** Whether work remains to be done in steps. */
  get hasSteps(): boolean {
    return false;
  }

  /** Does one step. */
  step(_nowMs: TimeMs): Next {
    return this;
  }

  // --- Time

  /** Whether other sessions can change when `handleTimeout` is due. */
  get isDueByOthers(): boolean {
    return false;
  }

  /** When `handleTimeout` is due; Infinity if it is not. */
  pollTimeout(): TimeMs {
    return Infinity;
  }

  handleTimeout(_nowMs: TimeMs): Next {
    return this;
  }

  /** Sends the report if it is due. */
  flush(_nowMs: TimeMs): void {}

  /** Stops all work, because the session has its outcome. */
  close(): void {}
}
