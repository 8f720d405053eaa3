/**
 * Milliseconds from `earlier` to `now`. A time that lies ahead counts as now up to 30 s; further
 * ahead, the clock was set back, and what was recorded must be fetched anew.
 *
 * @param {number} now
 * @param {number} earlier
 */
export const since = (now, earlier) =>
  earlier > now + 30_000 ? Infinity : Math.max(0, now - earlier);

/** The failures since the last success. See `shared-claims/src/backoff.rs`. */
export class Backoff {
  #maxPauseMs;
  #failures = 0;
  #failedAt = 0;
  #pauseMs = 0;

  /** @param {number} maxPauseMs */
  constructor(maxPauseMs) {
    this.#maxPauseMs = maxPauseMs;
  }

  /** @param {number} now */
  failed(now) {
    const longest = Math.min(1000 * 2 ** this.#failures, this.#maxPauseMs);
    this.#failures = Math.min(this.#failures + 1, MAX_DOUBLINGS);
    this.#failedAt = now;
    // Up to half is taken off, so that a thousand pages do not come back in step.
    this.#pauseMs = Math.max(1000, longest * (1 - Math.random() / 2));
  }

  succeeded() {
    this.#failures = this.#pauseMs = 0;
  }

  get isFailing() {
    return this.#failures > 0;
  }

  /**
   * Milliseconds until the next attempt is due.
   *
   * @param {number} now
   */
  waitMs(now) {
    return Math.max(0, this.#pauseMs - since(now, this.#failedAt));
  }
}

/** 2¹⁰ s is longer than any pause asked for. */
const MAX_DOUBLINGS = 10;
