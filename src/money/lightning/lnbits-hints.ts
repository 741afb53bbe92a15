/** How many payment hashes are remembered, and so passed on within a second. */
const maximumHashes = 1_000;
const pauseMs = 1_000;

/** Lets hints through: each payment hash at once, and again after a second when it came meanwhile. */
export interface HintGate {
  enter(paymentHash: string): void;
  /** Lets nothing through any more. */
  close(): void;
}

/** A gate that bounds how often the same payment hash is heard, and how many others within the same second. */
export function createHintGate(hear: (paymentHash: string) => void): HintGate {
  const passed = new Map<string, { cameAgain: boolean; timer: NodeJS.Timeout }>();

  function pass(paymentHash: string): void {
    const timer = setTimeout(() => {
      const cameAgain = passed.get(paymentHash)?.cameAgain;
      passed.delete(paymentHash);
      if (cameAgain) pass(paymentHash);
    }, pauseMs);
    passed.set(paymentHash, { cameAgain: false, timer });
    hear(paymentHash);
  }

  return {
    enter(paymentHash) {
      const before = passed.get(paymentHash);
      if (before) before.cameAgain = true;
      else if (passed.size < maximumHashes) pass(paymentHash);
    },
    close() {
      for (const { timer } of passed.values()) clearTimeout(timer);
      passed.clear();
    },
  };
}
