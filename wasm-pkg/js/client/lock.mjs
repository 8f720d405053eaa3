/**
 * One refresh at a time in all tabs that share credentials: a courtesy to the issuer, not what
 * keeps people signed in. Two refreshes with one token are answered with one successor, so that
 * a tab that cannot have the lock goes on without.
 *
 * @template T
 * @param {string} name
 * @param {() => Promise<T>} act
 * @returns {Promise<T>}
 */
export async function exclusively(name, act) {
  const locks = globalThis.navigator?.locks;
  if (!locks) return act();
  let began = false;
  const once = () => {
    began = true;
    return act();
  };
  try {
    return await locks.request(name, { signal: AbortSignal.timeout(PATIENCE_MS) }, once);
  } catch (error) {
    // What `act` itself throws is its caller's to hear.
    if (began) throw error;
    return act();
  }
}

/** Longer than a refresh takes; a tab that was frozen in the middle of one keeps its lock. */
const PATIENCE_MS = 5000;
