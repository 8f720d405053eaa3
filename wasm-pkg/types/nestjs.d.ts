/** NestJS 10 and newer, on Express or on Fastify. */

import type { CanActivate, DynamicModule, ExecutionContext } from "@nestjs/common";
import type { Reflector } from "@nestjs/core";
import type { Charge as ChargeOptions, GuardOptions } from "@tollgate/verifier/backend";

export { Refusal } from "@tollgate/verifier/backend";
export type { Auth, Credits, GuardOptions, User } from "@tollgate/verifier/backend";

/**
 * Protects every route of the application but those marked `@Public()`.
 *
 * ```ts
 * import { Controller, Get, Module } from "@nestjs/common";
 * import { createVerifier } from "@tollgate/verifier";
 * import { CurrentUser, Public, TollgateModule, type User } from "@tollgate/verifier/nestjs";
 *
 * const verifier = createVerifier({ issuer, audience, jwksUri, revocationsUri });
 *
 * @Controller()
 * class AppController {
 *   @Get("me")
 *   me(@CurrentUser() user: User) {
 *     return user;
 *   }
 *
 *   @Public()
 *   @Get("health")
 *   health() {
 *     return "ok";
 *   }
 * }
 *
 * @Module({ imports: [TollgateModule.forRoot({ verifier })], controllers: [AppController] })
 * export class AppModule {}
 * ```
 */
export class TollgateModule {
  static forRoot(options: GuardOptions): DynamicModule;
}

/** The guard alone, for `@UseGuards(new TollgateGuard(options, new Reflector()))`. */
export class TollgateGuard implements CanActivate {
  constructor(options: GuardOptions, reflector: Reflector);
  canActivate(context: ExecutionContext): Promise<boolean>;
}

type Decorator = MethodDecorator & ClassDecorator;

/** Nobody has to sign in for this. */
export function Public(): Decorator;

/** Only these roles may. */
export function Roles(...roles: string[]): Decorator;

/**
 * The route costs credits; needs the option `credits`.
 *
 * ```ts
 * @Post("report")
 * @Charge({ amount: 10, description: "A report" })
 * report() {}
 * ```
 */
export function Charge<Request = any>(options: ChargeOptions<Request>): Decorator;

/** The user who is asking (`User`), or `null`. */
export function CurrentUser(): ParameterDecorator;

/** Who is asking, with the token's claims (`Auth`), or `null`. */
export function CurrentAuth(): ParameterDecorator;

/** The credit account of whoever is asking (`Credits`), or `null`. */
export function CurrentCredits(): ParameterDecorator;
