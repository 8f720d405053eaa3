import { fromNode, fromWeb } from "../backend/incoming.mjs";

export { createGuard } from "../backend/guard.mjs";
export { Refusal } from "../backend/refusal.mjs";
export { fromNode, fromWeb };
