/** Answers of the functions that decide whom to trust. */

/** `true`: the peer is trusted. A text: it is refused for this reason. `false`: refused without a reason. */
export type TrustAnswer = boolean | string;

/**
 * @param defaultReason the reason if the answer gives none
 * @returns why the peer is refused; undefined if it is trusted. Only `true` means trust.
 */
export function refusalOf(answer: TrustAnswer, defaultReason: string): string | undefined {
  if (answer === true) return undefined;
  return typeof answer === 'string' && answer !== '' ? answer : defaultReason;
}
