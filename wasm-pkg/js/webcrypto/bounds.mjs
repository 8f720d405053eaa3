// The bounds of `shared-claims/src/key_cache.rs`, with their reasons there.
export const SOFT_MS = 300_000;
export const HARD_MS = 3_600_000;
export const REFETCH_EVERY_MS = 30_000;
