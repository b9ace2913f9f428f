/** Text of others, made harmless where people read it. */

/** Characters that a terminal would act on, or that would show others in a wrong order, as `\x1b`. */
export function escapeControls(text: string): string {
  return text.replace(/[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu, (character) => {
    const code = character.codePointAt(0) as number;
    return `\\x${code.toString(16).padStart(2, '0')}`;
  });
}

/** The same for a text of several lines: their ends stay. */
export function escapeControlsInLines(text: string): string {
  return text.split('\n').map(escapeControls).join('\n');
}
