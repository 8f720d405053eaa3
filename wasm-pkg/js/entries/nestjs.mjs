/**
 * NestJS, on Express or on Fastify.
 *
 * @import { Charge as ChargeOptions, GuardOptions } from "../../types/backend.js"
 */

import {
  createParamDecorator,
  HttpException,
  Injectable,
  Module,
  SetMetadata,
} from "@nestjs/common";
import { APP_GUARD, Reflector } from "@nestjs/core";
import { beginCharge, checkCharge } from "../backend/charge.mjs";
import { createGuard } from "../backend/guard.mjs";
import { fromNode } from "../backend/incoming.mjs";
import { settleAfter } from "../backend/node_response.mjs";
import { insufficientScope, Refusal } from "../backend/refusal.mjs";

export { Refusal };

/** See `types/nestjs.d.ts`. */
export class TollgateGuard {
  #guard;
  #reflector;

  /**
   * @param {GuardOptions} options
   * @param {Reflector} reflector
   */
  constructor(options, reflector) {
    this.#guard = createGuard(options);
    this.#reflector = reflector;
  }

  /** @param {any} context */
  async canActivate(context) {
    const told = (/** @type {string} */ key) =>
      this.#reflector.getAllAndOverride(key, [context.getHandler(), context.getClass()]);
    if (told(PUBLIC) === true) return true;
    const { request, response } = httpOf(context);
    try {
      const auth = await this.#guard.authenticate(fromNode(request.raw ?? request));
      demandRole(auth, told(ROLES));
      Object.assign(request, { auth }, auth?.credits ? { credits: auth.credits } : {});
      await this.#take(told(CHARGE), auth, request, response);
      return true;
    } catch (error) {
      throw error instanceof Refusal ? exceptionOf(/** @type {any} */ (error), response) : error;
    }
  }

  /**
   * @param {ChargeOptions<any> | undefined} charge
   * @param {any} auth
   * @param {any} request
   * @param {any} response
   */
  async #take(charge, auth, request, response) {
    if (charge === undefined) return;
    settleAfter(response.raw ?? response, await beginCharge(charge, auth, request));
  }
}
Injectable()(TollgateGuard);

/** See `types/nestjs.d.ts`. */
export class TollgateModule {
  /** @param {GuardOptions} options */
  static forRoot(options) {
    const make = (/** @type {Reflector} */ reflector) => new TollgateGuard(options, reflector);
    return {
      module: TollgateModule,
      providers: [
        { provide: TollgateGuard, useFactory: make, inject: [Reflector] },
        { provide: APP_GUARD, useExisting: TollgateGuard },
      ],
      exports: [TollgateGuard],
    };
  }
}
Module({})(TollgateModule);

/** See `types/nestjs.d.ts`. */
export const Public = () => SetMetadata(PUBLIC, true);

/**
 * See `types/nestjs.d.ts`.
 *
 * @param {...string} roles
 */
export const Roles = (...roles) => SetMetadata(ROLES, roles);

/**
 * See `types/nestjs.d.ts`.
 *
 * @param {ChargeOptions<any>} options
 */
export const Charge = (options) => SetMetadata(CHARGE, checkCharge(options));

/** See `types/nestjs.d.ts`. */
export const CurrentUser = createParamDecorator(
  (_, context) => httpOf(context).request.auth?.user ?? null,
);

/** See `types/nestjs.d.ts`. */
export const CurrentAuth = createParamDecorator(
  (_, context) => httpOf(context).request.auth ?? null,
);

/** See `types/nestjs.d.ts`. */
export const CurrentCredits = createParamDecorator(
  (_, context) => httpOf(context).request.credits ?? null,
);

/**
 * GraphQL hands its resolvers the request in their third argument.
 *
 * @param {any} context
 */
function httpOf(context) {
  if (context.getType() === "http") {
    const http = context.switchToHttp();
    return { request: http.getRequest(), response: http.getResponse() };
  }
  const { req, res } = context.getArgByIndex(2) ?? {};
  if (req) return { request: req, response: res ?? req.res };
  throw new TypeError(`TollgateGuard knows requests over HTTP, and this is ${context.getType()}`);
}

/**
 * @param {any} auth
 * @param {readonly string[] | undefined} roles
 */
function demandRole(auth, roles) {
  if (roles && !roles.includes(auth?.user.role ?? "")) throw insufficientScope();
}

/**
 * @param {any} refusal
 * @param {any} response
 */
function exceptionOf({ status, headers, problem }, response) {
  const raw = response.raw ?? response;
  // Fastify collects headers of its own, and forgets those of Node's response.
  const set = response.raw ? response.header.bind(response) : raw.setHeader.bind(raw);
  for (const [name, value] of Object.entries(headers)) set(name, value);
  return new HttpException(problem, status);
}

const PUBLIC = "@tollgate/verifier/public";
const ROLES = "@tollgate/verifier/roles";
const CHARGE = "@tollgate/verifier/charge";
