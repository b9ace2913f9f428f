/** Text for people in messages. */
import { escapeControls } from '../base/control-characters.js';
import type { ByteReader } from './byte-codec.js';

const maxLineChars = 200;

/**
 * Shortens text so that the message fits in one datagram. Keeps the beginning and the end, because the remedy
 * is at the end.
 */
export function shortened(text: string, maxChars = maxLineChars): string {
  if (text.length <= maxChars) return text;
  const endChars = Math.floor(0.4 * maxChars);
  return `${text.slice(0, maxChars - endChars - 1)}…${text.slice(-endChars)}`;
}

/** The text as `readLine` reads it after `shortened`. */
export function asLine(text: string): string {
  return shortened(escapeControls(text));
}

/** Reads text that will be shown to users and escapes its control characters. */
export function readLine(reader: ByteReader, maxChars = 2 * maxLineChars): string {
  return escapeControls(reader.text().slice(0, maxChars));
}
