// In TypeScript the decorators stand above what they decorate; see the type definitions. Without
// a compiler they are called.

import "reflect-metadata";
import { Controller, Get, Module, Post } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { createVerifier } from "@tollgate/verifier";
import {
  Charge,
  CurrentCredits,
  CurrentUser,
  Public,
  Roles,
  TollgateModule,
} from "@tollgate/verifier/nestjs";
import { credits, policy, port } from "./settings.mjs";

class AppController {
  health() {
    return "ok";
  }
  me(user) {
    return user;
  }
  admin() {
    return {};
  }
  balance(credits) {
    return credits.balance();
  }
  async spend(credits) {
    const { balance } = await credits.use({ amount: 3, description: "Three of them" });
    return { balance };
  }
  report() {
    return { report: "done" };
  }
  broken() {
    throw new Error("broken");
  }
  dear() {
    return {};
  }
}

const decorate = (name, ...decorators) => {
  const descriptor = Object.getOwnPropertyDescriptor(AppController.prototype, name);
  for (const decorator of decorators) decorator(AppController.prototype, name, descriptor);
};
Controller()(AppController);
decorate("health", Get("health"), Public());
decorate("me", Get("me"));
CurrentUser()(AppController.prototype, "me", 0);
decorate("admin", Get("admin"), Roles("admin"));
decorate("balance", Get("balance"));
CurrentCredits()(AppController.prototype, "balance", 0);
decorate("spend", Post("spend"));
CurrentCredits()(AppController.prototype, "spend", 0);
decorate("report", Post("report"), Charge({ amount: 10, description: "A report" }));
decorate("broken", Post("broken"), Charge({ amount: 10, description: "A report" }));
decorate("dear", Post("dear"), Charge({ amount: 1_000_000, description: "A castle" }));

class AppModule {}
const verifier = createVerifier(policy);
Module({
  imports: [TollgateModule.forRoot({ verifier, credits })],
  controllers: [AppController],
})(AppModule);

const app = await NestFactory.create(AppModule, { logger: false });
await app.listen(port, "127.0.0.1");
console.log(`ready on ${port}`);
