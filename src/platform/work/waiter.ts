/** Waits within work that goes on for as long as its signal lets it. */
export function createWaiter(signal: AbortSignal) {
  let wake = () => {};
  return {
    /** Ends what waits. */
    wake: () => wake(),

    /** Resolves when it is woken, at the end of the signal, or after so many ms. */
    wait(ms: number): Promise<void> {
      if (signal.aborted) return Promise.resolve();
      return new Promise((resolve) => {
        wake = () => {
          clearTimeout(timer);
          signal.removeEventListener('abort', wake);
          resolve();
        };
        const timer = setTimeout(wake, ms);
        signal.addEventListener('abort', wake, { once: true });
      });
    },
  };
}
