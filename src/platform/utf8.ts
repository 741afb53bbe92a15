/** A text with a character for each byte that it has in UTF-8. */
export function utf8Characters(text: string): string {
  return Buffer.byteLength(text) === text.length ? text : Buffer.from(text).toString('latin1');
}
