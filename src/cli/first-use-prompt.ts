/** Asks on the terminal which new receivers or servers to trust: all of them in one question, with their fingerprints. */
import { createInterface } from 'node:readline/promises';
import type { AskAboutReceivers, UnknownReceiver } from '../node/keys/trust.js';
import type { Output } from './output/output.js';
import { formatTable } from './output/table.js';

/** What the unknown hosts are. */
export type UnknownRole = 'receiver' | 'server' | 'coordinator';

/** @param columns the width of the terminal; with too few, each fingerprint has a line of its own */
export function formatFirstUse(
  hosts: readonly UnknownReceiver[],
  role: UnknownRole,
  columns: number,
): string[] {
  const count = hosts.length;
  const head =
    count === 1
      ? `This ${role} is not known here yet:`
      : `These ${count} ${role}s are not known here yet:`;
  const rows = hosts.map(({ name, fingerprint }, i) => [`${i + 1}`, name, fingerprint]);
  const table = formatTable([['', role, 'fingerprint of its key'], ...rows]);
  const isWide = table.every((line) => line.length <= columns);
  return [
    head,
    ...(isWide
      ? table
      : rows.flatMap(([number, name, fingerprint]) => [`${number}  ${name}`, `${fingerprint}`])),
    `To compare, run on ${count === 1 ? 'it' : 'each of them'}: p2mp keygen --show`,
  ];
}

/** The question below the table. */
export function firstUseQuestion(count: number): string {
  return count === 1 ? 'Trust it? (yes/no) ' : `Trust them? (yes, no, or numbers: 1,${count}) `;
}

/**
 * @returns for each host whether it is trusted; undefined if the text is not a valid answer
 */
export function parseFirstUseAnswer(text: string, count: number): boolean[] | undefined {
  const answer = text.trim().toLowerCase();
  if (/^y(es)?$/.test(answer)) return new Array<boolean>(count).fill(true);
  if (/^(no?)?$/.test(answer)) return new Array<boolean>(count).fill(false);
  const trusted = new Array<boolean>(count).fill(false);
  for (const part of answer.split(/[\s,]+/).filter((each) => each !== '')) {
    const [, from, to = from] = /^(\d{1,6})(?:-(\d{1,6}))?$/.exec(part) ?? [];
    const [first, last] = [Number(from), Number(to)];
    // False for NaN as well.
    if (!(first >= 1 && first <= last && last <= count)) return undefined;
    trusted.fill(true, first - 1, last);
  }
  return trusted;
}

/**
 * Asks until the user gives a valid answer. What the command prints meanwhile goes above the question.
 * @param signal ends the question; then no host is trusted
 */
export async function askFirstUse(
  hosts: readonly UnknownReceiver[],
  role: UnknownRole,
  signal: AbortSignal,
  output: Pick<Output, 'setQuestion'>,
): Promise<readonly boolean[]> {
  const none = hosts.map(() => false);
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  // Ctrl-C must interrupt the command, not just the prompt.
  terminal.once('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  // After Ctrl-D, readline never answers.
  const closed = new Promise<undefined>((resolve) => {
    terminal.once('close', () => resolve(undefined));
  });
  try {
    const { columns = 80 } = process.stderr;
    process.stderr.write(`${formatFirstUse(hosts, role, columns).join('\n')}\n`);
    output.setQuestion(() => terminal.prompt(true));
    for (;;) {
      const question = terminal.question(firstUseQuestion(hosts.length), { signal });
      const text = await Promise.race([question, closed]);
      if (text === undefined) {
        process.stderr.write('\n');
        return none;
      }
      const trusted = parseFirstUseAnswer(text, hosts.length);
      if (trusted !== undefined) return trusted;
    }
  } catch (error) {
    if (signal.aborted) return none;
    throw error;
  } finally {
    output.setQuestion(undefined);
    terminal.close();
  }
}

interface FirstUseOptions {
  readonly role: UnknownRole;
  /** Whether `--accept-new` trusts all unknown hosts without a question. */
  readonly acceptsNew: boolean;
  /** Whether standard input carries data, and not answers. */
  readonly isInputTaken?: boolean;
  readonly signal: AbortSignal;
  /** Shows no progress during the question. */
  readonly output: Pick<Output, 'pauseProgress' | 'setQuestion'>;
}

/**
 * Creates the prompt that asks which unknown hosts to trust.
 * @returns undefined if no terminal is available for the prompt
 */
export function createFirstUsePrompt({
  role,
  acceptsNew,
  isInputTaken = false,
  signal,
  output,
}: FirstUseOptions): AskAboutReceivers | undefined {
  if (acceptsNew) return async (hosts) => hosts.map(() => true);
  const canAsk = process.stdin.isTTY && process.stderr.isTTY && !isInputTaken;
  if (!canAsk) return undefined;
  return async (hosts) => {
    output.pauseProgress(true);
    try {
      return await askFirstUse(hosts, role, signal, output);
    } finally {
      output.pauseProgress(false);
    }
  };
}
