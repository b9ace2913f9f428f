/** Escapes untrusted text for display. */

/** Escapes control characters and bidirectional formatting characters, for example ESC as `\x1b`. */
export function escapeControls(text: string): string {
  return text.replace(/[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu, (character) => {
    const code = character.codePointAt(0) as number;
    return `\\x${code.toString(16).padStart(2, '0')}`;
  });
}

/** Like `escapeControls`, but keeps the line breaks of multi-line text. */
export function escapeControlsInLines(text: string): string {
  return text.split('\n').map(escapeControls).join('\n');
}
