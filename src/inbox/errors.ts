/** A delivery that no attempt will ever be able to read; it is set aside. */
export class MalformedDelivery extends Error {
  override readonly name = 'MalformedDelivery';
}

export const malformed = (what: string) => new MalformedDelivery(`The delivery cannot be read: ${what}.`);
