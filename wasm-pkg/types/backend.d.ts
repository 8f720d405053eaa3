/**
 * What the integrations share, for a framework that has none of its own: who is asking, may
 * they, and their credits.
 */

import type { AccessClaims, Verifier } from "@tollgate/verifier";

/**
 * Makes the part of a backend that knows who is asking.
 *
 * ```js
 * import { createServer } from "node:http";
 * import { createVerifier } from "@tollgate/verifier";
 * import { createGuard, fromNode, Refusal } from "@tollgate/verifier/backend";
 *
 * const guard = createGuard({ verifier: createVerifier({ issuer, audience, jwksUri }) });
 *
 * createServer(async (request, response) => {
 *   try {
 *     const auth = await guard.authenticate(fromNode(request));
 *     response.end(`hello ${auth.user.id}`);
 *   } catch (error) {
 *     if (!(error instanceof Refusal)) throw error;
 *     response.writeHead(error.status, error.headers).end(JSON.stringify(error.problem));
 *   }
 * });
 * ```
 *
 * @throws TypeError when an option is missing, unknown or out of range; Error when `devBypass`
 * is set where it may not be.
 */
export function createGuard(options: GuardOptions): Guard;

/** Who may pass. */
export interface GuardOptions {
  /** What `createVerifier` of any entry has returned. */
  verifier: Pick<Verifier, "verify">;

  /**
   * Whether a request without a token is refused. With `false` it passes, and there is no user;
   * a token that is there must be good all the same.
   *
   * @default true
   */
  required?: boolean;

  /**
   * The roles that may pass; others are refused with 403.
   *
   * @default every role
   */
  roles?: readonly string[];

  /**
   * Takes the token from a cookie, too. Whatever changes something must then come from a page
   * on the list, by its header `Origin`; and a token in both places is refused.
   */
  cookie?: {
    /** Begins with `__Host-`, as the issuer's `__Host-tollgate_access` does. */
    name: string;
    /** The pages' origins, such as `https://app.example.com`. */
    origins: readonly string[];
  };

  /** The credit accounts of those who ask. Without it nothing of credits is loaded or asked. */
  credits?: CreditsOptions;

  /**
   * A made-up user for requests without a token, while developing. Throws unless
   * `NODE_ENV` is `development` and `TOLLGATE_DEV_BYPASS` is `1`, and for every request that is
   * not known to come from this machine.
   */
  devBypass?: DevUser;
}

/** Where credit accounts are, and whose spending it is. */
export interface CreditsOptions {
  /** Where the issuer is. https, or http on this machine. */
  baseUrl: string | URL;
  /** The app the credits are spent in. */
  appId: string;
  /**
   * The secret of a service of that app with the scope `credits:hold` (`tgs_…`). With it a hold
   * can be settled after the user's token has expired.
   */
  serviceToken?: string;
  /** @default the global `fetch` */
  fetch?: typeof fetch;
  /**
   * Told when a hold could be neither captured nor released. It ends by itself, and the request
   * was free.
   *
   * @default writes to `console.error`
   */
  onUnsettled?: (error: unknown, holdId: string) => void;
}

/** The user of the development bypass. */
export interface DevUser {
  id: string;
  email?: string;
  role?: string;
}

/** Made by `createGuard`. */
export interface Guard {
  /**
   * Who is asking; `null` for nobody, where that is allowed.
   *
   * @throws Refusal when the request may not pass.
   */
  authenticate(this: void, incoming: Incoming): Promise<Auth | null>;
}

/** What a guard wants to know of a request. */
export interface Incoming {
  readonly method: string;
  /** Every value of the header of this name, which is in lower case. */
  readonly header: (name: string) => readonly string[];
  /** The address of whoever holds the other end of the connection; only `devBypass` asks. */
  readonly peer?: string | undefined;
}

/** What a guard wants to know of a request of Node's own `http`. */
export function fromNode(request: {
  method?: string | undefined;
  headers: Record<string, string | string[] | undefined>;
  headersDistinct?: Record<string, string[] | undefined>;
  socket?: { remoteAddress?: string | undefined };
}): Incoming;

/** What a guard wants to know of a request of the web platform. */
export function fromWeb(request: Request, peer?: string): Incoming;

/** Who is asking. */
export interface Auth {
  readonly user: User;
  /** All that the token says. */
  readonly claims: AccessClaims;
  /** The token itself, to pass on. Not enumerable, so that it stays out of logs. */
  readonly token: string | null;
  /** With the option `credits`. */
  readonly credits?: Credits;
}

/** The user a token was issued to. */
export interface User {
  readonly id: string;
  readonly sessionId: string;
  /** Only when the user has proven that the address is theirs. */
  readonly email?: string;
  readonly role?: string;
  /** The admin who acts in the user's place. */
  readonly actor?: string;
}

/** The credit account of whoever is asking. Amounts are whole credits. */
export interface Credits {
  /**
   * What can be spent, free credits included.
   *
   * @throws Refusal with the issuer's code; 503 when the issuer cannot be reached.
   */
  balance(this: void): Promise<Balance>;

  /**
   * Spends credits, once: with the same `idempotencyKey` it can be repeated safely, and without
   * one it is given one and repeated by itself when the answer is lost.
   *
   * ```js
   * await request.credits.use({ amount: 5, description: "One page translated" });
   * ```
   *
   * @throws Refusal `insufficient_credits` (402, with `problem.balance`), `account_frozen`, ….
   */
  use(
    this: void,
    spending: Spending & { description: string; metadata?: Record<string, unknown> },
  ): Promise<{ transaction: Transaction; balance: number }>;

  /**
   * Reserves credits, which are then captured or released, or come back by themselves after
   * `expiresInSeconds` (300).
   *
   * ```js
   * const hold = await request.credits.hold({ amount: 100, description: "A long calculation" });
   * await hold.capture({ amount: 60, final: true });
   * ```
   */
  hold(
    this: void,
    spending: Spending & { description?: string; expiresInSeconds?: number },
  ): Promise<Hold>;
}

export interface Spending {
  /** 1 to 10¹². */
  amount: number;
  /** 1 to 255 visible ASCII characters. @default a random one */
  idempotencyKey?: string;
}

export interface Balance {
  readonly balance: number;
  readonly freeCreditsRemaining: number;
  readonly held: number;
  readonly totalEarned: number;
  readonly totalSpent: number;
}

export interface Transaction {
  readonly id: string;
  readonly type: string;
  readonly amount: number;
  readonly balanceAfter: number;
  readonly appId: string | null;
  readonly description: string | null;
  readonly metadata: Record<string, unknown> | null;
  readonly createdAt: string;
}

/** Credits that are reserved. */
export interface Hold {
  readonly id: string;
  readonly amount: number;
  readonly captured: number;
  readonly status: "open" | "captured" | "released" | "expired";
  readonly appId: string;
  readonly expiresAt: string;
  readonly createdAt: string;
  /** Spends of it, all that is left unless `amount` says less; `final` gives the rest back. */
  capture(
    this: void,
    options?: { amount?: number; final?: boolean; idempotencyKey?: string },
  ): Promise<{ hold: object; transaction: Transaction }>;
  /** Gives all that is left back. */
  release(this: void, options?: { idempotencyKey?: string }): Promise<{ hold: object }>;
}

/** What a route costs. */
export interface Charge<Request = unknown> {
  /** Whole credits, or how many this request costs; 0 is free. */
  amount: number | ((request: Request) => number | Promise<number>);
  /** What the user reads in their history. */
  description: string;
  /**
   * `on_success` reserves the credits before the route runs, spends them when it has answered
   * with a status below 400, and gives them back otherwise. `before` spends them at once.
   *
   * @default "on_success"
   */
  when?: "on_success" | "before";
  /** Whether answers of 400 to 499 are charged, too. @default false */
  charge4xx?: boolean;
  /** Stands in the history; with `when: "before"` only. */
  metadata?: Record<string, unknown>;
}

/**
 * Why a request may not pass: everything that belongs into the answer. The integrations answer
 * it themselves; thrown by `credits` inside a handler it can be left to the framework, which
 * finds `status`.
 */
export class Refusal extends Error {
  private constructor();
  readonly name: "Refusal";
  readonly status: number;
  readonly statusCode: number;
  /** The verifier's code, the issuer's, or `missing_token`, `multiple_tokens`, `insufficient_scope`, `forbidden`, `unavailable`. */
  readonly code: string;
  /** `WWW-Authenticate`, `Retry-After` and the rest, by names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** RFC 9457. */
  readonly problem: {
    readonly type: string;
    readonly title: string;
    readonly status: number;
    readonly detail: string;
    readonly code: string;
    readonly balance?: number;
  };
  /** The answer as the web platform has it. */
  toResponse(): Response;
}
